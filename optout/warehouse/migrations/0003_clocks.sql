-- Legal clocks: opt-outs with their deadlines and how they were honoured, sends after them, consent
-- and audience (docs/adr/0005-two-deadlines-per-opt-out.md). `late_from` is the first moment that is
-- too late.

-- One row per opt-out act: a person's own, or one of unknown origin that no earlier act explains.
-- Copies that a sync made of them are not rows. Rebuilt every night from what is known.
CREATE TABLE audit.opt_out (
    opt_out_id         UUID NOT NULL,
    contact_key        UUID NOT NULL,
    category           VARCHAR,               -- NULL: of everything
    system             VARCHAR NOT NULL,      -- that first heard of it
    source             VARCHAR NOT NULL,
    is_own             BOOLEAN NOT NULL,      -- the person's act, by what the system tells
    campaign_id        VARCHAR,
    occurred_at        TIMESTAMP NOT NULL,    -- the act, or the latest moment at which it can have been
    occurred_from      TIMESTAMP,             -- the earliest; NULL: no bound
    time_kind          VARCHAR NOT NULL,      -- source | estimated
    received_at        TIMESTAMP,
    is_start_estimated BOOLEAN NOT NULL,      -- a deadline counts from a time that is not told exactly
    jurisdiction       VARCHAR NOT NULL,      -- ISO codes, joined by +; unknown
    jurisdiction_kind  VARCHAR NOT NULL,      -- country | several | no_regime | unknown
    strict_deadline    DATE NOT NULL,         -- local date of the last moment in time
    strict_late_from   TIMESTAMP NOT NULL,
    strict_rule        VARCHAR NOT NULL,
    legal_deadline     DATE NOT NULL,
    legal_late_from    TIMESTAMP NOT NULL,
    legal_rule         VARCHAR NOT NULL,
    lifted_at          TIMESTAMP,             -- when the person's own opt-in had lifted it for certain
    honoured_from      TIMESTAMP,             -- bounds of when the last system had stopped
    honoured_at        TIMESTAMP,             -- NULL: not known to have
    is_exact           BOOLEAN NOT NULL,      -- every system told the moment
    is_unseen          BOOLEAN NOT NULL,      -- some system was not read completely since, or it was lifted first
    is_open            BOOLEAN NOT NULL,      -- stands, and some system still mails
    open_systems       VARCHAR,               -- which, joined by commas
    business_days_left INTEGER                -- of an open one, to the strict deadline; negative: over
);

-- When each system stopped, for each act.
CREATE TABLE audit.opt_out_effect (
    opt_out_id   UUID NOT NULL,
    system       VARCHAR NOT NULL,
    stopped_from TIMESTAMP NOT NULL,
    stopped_at   TIMESTAMP,                   -- NULL: not known to have
    is_told      BOOLEAN NOT NULL,            -- by the system itself, not by comparing nights
    is_unseen    BOOLEAN NOT NULL,
    is_mailing   BOOLEAN NOT NULL             -- at the last read
);

-- Opt-outs that a system held without any record of the change, as reconciliation found them: they
-- stay known after the system forgets them.
CREATE TABLE audit.undated_opt_out (
    contact_key   UUID NOT NULL,
    category      VARCHAR NOT NULL,
    system        VARCHAR NOT NULL,
    occurred_at   TIMESTAMP NOT NULL,
    occurred_from TIMESTAMP,
    night         DATE NOT NULL               -- that found it first
);

-- Sends after an opt-out that covered them and stood then. One row a message and person.
CREATE TABLE audit.violation (
    event_key       UUID NOT NULL,            -- of core.mail_event
    system          VARCHAR NOT NULL,
    category        VARCHAR,                  -- that was opted out; of an opt-out of everything, the message's
    contact_key     UUID NOT NULL,
    campaign_id     VARCHAR,
    sent_at         TIMESTAMP NOT NULL,
    sent_kind       VARCHAR NOT NULL,         -- source | estimated (the campaign's start: no later than the send)
    is_bypass       BOOLEAN NOT NULL,         -- the vendor was told to ignore suppressions
    opted_out_at    TIMESTAMP NOT NULL,       -- of the earliest opt-out that covers it; its latest bound
    opted_out_kind  VARCHAR NOT NULL,         -- source | estimated
    opted_out_in    VARCHAR NOT NULL,
    is_global       BOOLEAN NOT NULL,
    jurisdiction    VARCHAR NOT NULL,
    grade           VARCHAR NOT NULL,         -- warning | breach | legal_breach
    beyond_strict   BOOLEAN NOT NULL,
    strict_deadline DATE NOT NULL,
    legal_deadline  DATE NOT NULL,
    found_night     DATE NOT NULL             -- that showed it first
);

-- What mail to each person could rest on: everyone whose country asks for consent, or is unknown.
CREATE TABLE audit.consent (
    contact_key     UUID NOT NULL,
    status          VARCHAR NOT NULL,         -- optout.rules.consent.ConsentStatus
    basis           VARCHAR,
    expires_on      DATE,
    last_safe_day   DATE,
    days_left       INTEGER,
    jurisdiction    VARCHAR NOT NULL,
    regime          VARCHAR NOT NULL,
    opted_out       INTEGER NOT NULL,         -- categories that are opted out
    night           DATE NOT NULL
);

CREATE TABLE audit.consent_forecast (
    week_from    DATE NOT NULL,               -- the first of seven days
    basis        VARCHAR NOT NULL,
    jurisdiction VARCHAR NOT NULL,
    people       BIGINT NOT NULL              -- whose last safe day falls into them
);

-- Marketing sends to people whose consent was expired or not proven, as known on the night that
-- first saw the send.
CREATE TABLE audit.unconsented_send (
    event_key    UUID NOT NULL,
    system       VARCHAR NOT NULL,
    category     VARCHAR,
    contact_key  UUID NOT NULL,
    campaign_id  VARCHAR,
    sent_at      TIMESTAMP NOT NULL,
    sent_kind    VARCHAR NOT NULL,
    status       VARCHAR NOT NULL,            -- expired | not_proven
    basis        VARCHAR,
    expires_on   DATE,
    jurisdiction VARCHAR NOT NULL,
    found_night  DATE NOT NULL
);

-- The company's own rule (`[policy.consent] sunset_after_months`), apart from any law.
CREATE TABLE audit.sunset (
    contact_key  UUID NOT NULL,
    active_on    DATE,                        -- the last click, purchase or login; NULL: none known
    sunset_on    DATE NOT NULL
);

-- Duties of a campaign that its content does not fulfil, as far as the vendor shows it.
CREATE TABLE audit.campaign_fault (
    system      VARCHAR NOT NULL,
    campaign_id VARCHAR NOT NULL,
    fault       VARCHAR NOT NULL,             -- no_unsubscribe | no_postal_address | bad_from | bad_reply_to | no_list_unsubscribe
    sent_at     TIMESTAMP,
    night       DATE NOT NULL
);

CREATE TABLE audit.frequent_changer (
    contact_key UUID NOT NULL,
    changes     INTEGER NOT NULL,
    first_at    TIMESTAMP NOT NULL,
    last_at     TIMESTAMP NOT NULL
);

-- Everybody known, five masks in one word: opted_out | unengaged << 12 | never_asked << 24 |
-- undeliverable << 36 | mailable << 48. Each category is in one of them at most.
CREATE TABLE audit.audience (
    contact_key UUID NOT NULL,
    word        BIGINT NOT NULL
);

-- The names of the bits.
CREATE TABLE mart.category (
    category VARCHAR NOT NULL,
    bit      INTEGER NOT NULL
);

CREATE VIEW audit.audience_status AS
SELECT
    a.contact_key, c.category,
    CASE WHEN (a.word & c.bit) <> 0 THEN 'opted_out'
         WHEN ((a.word >> 12) & c.bit) <> 0 THEN 'unengaged'
         WHEN ((a.word >> 24) & c.bit) <> 0 THEN 'never_asked'
         WHEN ((a.word >> 36) & c.bit) <> 0 THEN 'undeliverable'
         WHEN ((a.word >> 48) & c.bit) <> 0 THEN 'mailable'
         ELSE 'not_mailed' END AS status
FROM audit.audience AS a
CROSS JOIN mart.category AS c;

CREATE TABLE mart.audience_daily (
    night    DATE NOT NULL,
    category VARCHAR NOT NULL,
    status   VARCHAR NOT NULL,
    people   BIGINT NOT NULL
);

-- What the hub says of everyone.
CREATE TABLE mart.preference_daily (
    night    DATE NOT NULL,
    category VARCHAR NOT NULL,
    state    VARCHAR NOT NULL,                -- opted_in | opted_out | not_set | unclear
    people   BIGINT NOT NULL
);

-- Opt-out acts of the day before a night, where they were made, beside what was delivered.
CREATE TABLE mart.opt_out_rate (
    night       DATE NOT NULL,
    system      VARCHAR NOT NULL,
    category    VARCHAR,                      -- NULL: of everything, or not told
    campaign_id VARCHAR,
    source      VARCHAR,                      -- NULL: the row of deliveries
    opt_outs    BIGINT NOT NULL,
    deliveries  BIGINT NOT NULL
);
