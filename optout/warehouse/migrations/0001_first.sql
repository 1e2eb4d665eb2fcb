-- The layers of the warehouse (docs/naming.md). Times are UTC; masks are those of optout.model.Categories.

CREATE SCHEMA raw;
CREATE SCHEMA core;
CREATE SCHEMA audit;
CREATE SCHEMA mart;

-- `raw`: the landing of each system's last loaded night, typed; one table a kind of record
-- (optout.records), addresses still beside their keys. Replaced whole with every load.
CREATE TABLE raw.manifest (
    system          VARCHAR NOT NULL,
    stream          VARCHAR NOT NULL,
    night           DATE NOT NULL,
    manifest_hash   VARCHAR NOT NULL,
    is_complete     BOOLEAN NOT NULL,
    is_full         BOOLEAN NOT NULL,
    is_snapshot     BOOLEAN NOT NULL,
    is_skipped      BOOLEAN NOT NULL,
    role            VARCHAR NOT NULL,        -- state | changes | evidence (optout.vendors.base.Role)
    why_not         VARCHAR,
    read_at         TIMESTAMP NOT NULL,
    finished_at     TIMESTAMP,
    vendor_total    BIGINT,
    read_total      BIGINT,
    row_count       BIGINT NOT NULL,
    finding_count   BIGINT NOT NULL,
    requests        BIGINT,
    retries         BIGINT,
    rate_limited    BIGINT,
    waited_seconds  DOUBLE,
    latency_seconds DOUBLE,
    failed_requests BIGINT,
    revision        VARCHAR,
    note            VARCHAR,
    state           VARCHAR                  -- JSON for the stream's next night
);

-- Which snapshot stream owns the readings that a feed of changes brings.
CREATE TABLE raw.stream_owner (
    system       VARCHAR NOT NULL,
    stream       VARCHAR NOT NULL,
    store_prefix VARCHAR NOT NULL,
    owner        VARCHAR NOT NULL
);

CREATE TABLE raw.reading (
    system        VARCHAR NOT NULL,
    stream        VARCHAR NOT NULL,
    night         DATE NOT NULL,
    read_at       TIMESTAMP NOT NULL,
    part          VARCHAR NOT NULL,
    part_row      BIGINT NOT NULL,
    contact_key   UUID,
    store         VARCHAR,
    record_id     VARCHAR,
    address       VARCHAR,
    ins           INTEGER,
    outs          INTEGER,
    sends         INTEGER,
    blocks        INTEGER,
    store_blocks  INTEGER,
    unclear       INTEGER,
    category_outs INTEGER,
    weak_outs     INTEGER,
    global_out    BOOLEAN,
    in_at         TIMESTAMP,
    in_source     VARCHAR,
    in_explicit   BOOLEAN,
    in_global     BOOLEAN,
    undeliverable BOOLEAN,
    complained    BOOLEAN,
    present       BOOLEAN,
    deleted       BOOLEAN,
    created_at    TIMESTAMP,
    modified_at   TIMESTAMP
);

CREATE TABLE raw.consent (
    system          VARCHAR NOT NULL,
    stream          VARCHAR NOT NULL,
    night           DATE NOT NULL,
    read_at         TIMESTAMP NOT NULL,
    part            VARCHAR NOT NULL,
    part_row        BIGINT NOT NULL,
    contact_key     UUID,
    store           VARCHAR,
    record_id       VARCHAR,
    address         VARCHAR,
    country         VARCHAR,
    method          VARCHAR,
    basis           VARCHAR,
    basis_date      DATE,
    basis_ref       VARCHAR,
    last_updated_at TIMESTAMP,
    update_source   VARCHAR,
    update_reason   VARCHAR,
    consent_ip      VARCHAR
);

CREATE TABLE raw.change (
    system        VARCHAR NOT NULL,
    stream        VARCHAR NOT NULL,
    night         DATE NOT NULL,
    read_at       TIMESTAMP NOT NULL,
    part          VARCHAR NOT NULL,
    part_row      BIGINT NOT NULL,
    contact_key   UUID,
    event_id      VARCHAR,
    feed          VARCHAR,
    record_id     VARCHAR,
    address       VARCHAR,
    category      VARCHAR,
    old           VARCHAR,
    new           VARCHAR,
    occurred_at   TIMESTAMP,
    occurred_from TIMESTAMP,
    time_kind     VARCHAR,
    received_at   TIMESTAMP,
    effective_at  TIMESTAMP,
    source        VARCHAR,
    explicit      BOOLEAN,
    channel       VARCHAR,
    actor         VARCHAR,
    reason        VARCHAR,
    ip            VARCHAR,
    user_agent    VARCHAR,
    campaign_id   VARCHAR,
    store         VARCHAR,
    evidence_ref  VARCHAR,
    position      INTEGER,
    missing       VARCHAR
);

CREATE TABLE raw.mail_event (
    system        VARCHAR NOT NULL,
    stream        VARCHAR NOT NULL,
    night         DATE NOT NULL,
    read_at       TIMESTAMP NOT NULL,
    part          VARCHAR NOT NULL,
    part_row      BIGINT NOT NULL,
    contact_key   UUID,
    event_id      VARCHAR,
    kind          VARCHAR,
    address       VARCHAR,
    "at"          TIMESTAMP,
    at_kind       VARCHAR,
    campaign_id   VARCHAR,
    message_id    VARCHAR,
    categories    INTEGER,
    transactional BOOLEAN,
    bypass        BOOLEAN,
    record_id     VARCHAR
);

CREATE TABLE raw.campaign (
    system               VARCHAR NOT NULL,
    stream               VARCHAR NOT NULL,
    night                DATE NOT NULL,
    read_at              TIMESTAMP NOT NULL,
    part                 VARCHAR NOT NULL,
    part_row             BIGINT NOT NULL,
    campaign_id          VARCHAR,
    name                 VARCHAR,
    subject              VARCHAR,
    sent_at              TIMESTAMP,
    categories           INTEGER,
    transactional        BOOLEAN,
    from_name            VARCHAR,
    from_address         VARCHAR,
    reply_to             VARCHAR,
    has_unsubscribe      BOOLEAN,
    has_postal_address   BOOLEAN,
    has_list_unsubscribe BOOLEAN,
    sent_count           INTEGER,
    delivered_count      INTEGER,
    opt_out_count        INTEGER,
    complaint_count      INTEGER
);

CREATE TABLE raw.finding (
    system      VARCHAR NOT NULL,
    stream      VARCHAR NOT NULL,
    night       DATE NOT NULL,
    read_at     TIMESTAMP NOT NULL,
    part        VARCHAR NOT NULL,
    part_row    BIGINT NOT NULL,
    contact_key UUID,
    code        VARCHAR,
    store       VARCHAR,
    record_id   VARCHAR,
    field       VARCHAR,
    detail      VARCHAR,
    address     VARCHAR,
    categories  INTEGER
);

-- One row a night: what was attempted, and from which moment it looks at the world.
CREATE TABLE core.night (
    night       DATE PRIMARY KEY,
    cutoff_at   TIMESTAMP NOT NULL,          -- the start: dated changes after it wait for the next night
    kind        VARCHAR NOT NULL,            -- run | backfill (dated events only, the snapshot is unknown)
    run_id      VARCHAR,
    finished_at TIMESTAMP
);

-- One row per (system, stream, night): the manifest of what was read, loaded in the same
-- transaction as the rows and the state that it stands for.
CREATE TABLE core.source_read (
    system        VARCHAR NOT NULL,
    stream        VARCHAR NOT NULL,
    night         DATE NOT NULL,
    manifest_hash VARCHAR NOT NULL,
    is_complete   BOOLEAN NOT NULL,
    is_full       BOOLEAN NOT NULL,
    is_snapshot   BOOLEAN NOT NULL,
    is_skipped    BOOLEAN NOT NULL,          -- the account does not have it
    role          VARCHAR NOT NULL DEFAULT 'state',  -- state | changes | evidence: what depends on it
    why_not       VARCHAR,
    read_at       TIMESTAMP NOT NULL,        -- when the read began (states hold from here)
    finished_at   TIMESTAMP,
    vendor_total  BIGINT,
    read_total    BIGINT,
    row_count     BIGINT NOT NULL,
    finding_count BIGINT NOT NULL,
    requests      BIGINT,
    retries       BIGINT,
    rate_limited  BIGINT,
    waited_seconds  DOUBLE,
    latency_seconds DOUBLE,                  -- sum over requests
    failed_requests BIGINT,
    revision      VARCHAR,
    note          VARCHAR,
    PRIMARY KEY (system, stream, night)
);

-- What a stream wants to be told on its next night (cursor, queue position).
CREATE TABLE core.source_state (
    system VARCHAR NOT NULL,
    stream VARCHAR NOT NULL,
    night  DATE NOT NULL,
    state  VARCHAR NOT NULL,                 -- JSON
    PRIMARY KEY (system, stream)
);

-- The only table with plain addresses.
CREATE TABLE core.identity (
    contact_key UUID NOT NULL,
    address     VARCHAR NOT NULL,
    key_id      VARCHAR NOT NULL,
    first_night DATE NOT NULL
);

-- What each store of each system said of each record: change-only, with validity interval.
CREATE TABLE core.observation (
    system        VARCHAR NOT NULL,
    stream        VARCHAR NOT NULL,
    store         VARCHAR NOT NULL,
    record_id     VARCHAR NOT NULL,
    contact_key   UUID,
    ins           INTEGER NOT NULL,
    outs          INTEGER NOT NULL,
    category_outs INTEGER NOT NULL,
    weak_outs     INTEGER NOT NULL,
    sends         INTEGER NOT NULL,
    blocks        INTEGER NOT NULL,
    store_blocks  INTEGER NOT NULL,
    unclear       INTEGER NOT NULL,
    seen_in       INTEGER NOT NULL,          -- categories ever seen in `ins` or `sends` of this record
    global_out    BOOLEAN NOT NULL,
    undeliverable BOOLEAN NOT NULL,
    complained    BOOLEAN NOT NULL,
    present       BOOLEAN NOT NULL,
    in_at         TIMESTAMP,
    in_source     VARCHAR,
    in_explicit   BOOLEAN NOT NULL,
    in_global     BOOLEAN NOT NULL,
    created_at    TIMESTAMP,
    modified_at   TIMESTAMP,
    seen_after    TIMESTAMP,                 -- the last read that said otherwise; NULL: none before
    valid_from    TIMESTAMP NOT NULL,        -- the read that first said so
    night_from    DATE NOT NULL,
    night_to      DATE,                      -- the night that said otherwise; NULL: still so
    is_deleted    BOOLEAN NOT NULL           -- closed because the record is gone
);

-- Every preference change as an event; append-only.
CREATE TABLE core.change (
    change_seq     BIGINT NOT NULL,          -- order of recording, without gaps
    change_id      UUID NOT NULL,            -- of (system, event_id): the same change again is no row
    night          DATE NOT NULL,
    system         VARCHAR NOT NULL,
    feed           VARCHAR NOT NULL,         -- the vendor's, or: baseline | comparison | address_change
    contact_key    UUID NOT NULL,
    record_id      VARCHAR,
    store          VARCHAR,
    category       VARCHAR,                  -- NULL: of everything
    old_state      VARCHAR,
    new_state      VARCHAR NOT NULL,
    occurred_at    TIMESTAMP NOT NULL,       -- the act, or the latest moment at which it can have been
    occurred_from  TIMESTAMP,                -- the earliest; NULL: no bound
    time_kind      VARCHAR NOT NULL,         -- source | estimated
    received_at    TIMESTAMP,
    effective_at   TIMESTAMP,
    recorded_at    TIMESTAMP NOT NULL,
    source         VARCHAR NOT NULL,
    is_explicit    BOOLEAN NOT NULL,
    channel        VARCHAR,
    actor          VARCHAR,
    reason         VARCHAR,
    ip_truncated   VARCHAR,
    user_agent     VARCHAR,
    campaign_id    VARCHAR,
    evidence_ref   VARCHAR,
    position       INTEGER,
    missing        VARCHAR,
    run_id         VARCHAR
);

-- What is known of each act now: a bound that the vendor's own stamp has since made exact is
-- superseded (the row stays in core.change as recorded).
CREATE VIEW core.known_change AS
SELECT c.*
FROM core.change AS c
WHERE c.time_kind = 'source'
   OR NOT EXISTS (
        SELECT 1 FROM core.change AS s
        WHERE s.time_kind = 'source' AND s.system = c.system AND s.contact_key = c.contact_key
          AND s.category IS NOT DISTINCT FROM c.category AND s.new_state = c.new_state
          AND s.occurred_at <= c.occurred_at
          AND (c.occurred_from IS NULL OR s.occurred_at > c.occurred_from)
   );

CREATE TABLE core.mail_event (
    event_key     UUID NOT NULL,             -- of (system, event_id)
    night         DATE NOT NULL,
    system        VARCHAR NOT NULL,
    contact_key   UUID NOT NULL,
    kind          VARCHAR NOT NULL,
    occurred_at   TIMESTAMP NOT NULL,
    time_kind     VARCHAR NOT NULL,
    campaign_id   VARCHAR,
    message_id    VARCHAR,
    categories    INTEGER NOT NULL,
    transactional BOOLEAN NOT NULL,
    bypass        BOOLEAN NOT NULL
);

CREATE TABLE core.campaign (
    system               VARCHAR NOT NULL,
    campaign_id          VARCHAR NOT NULL,
    night                DATE NOT NULL,      -- of the last read
    name                 VARCHAR,
    subject              VARCHAR,
    sent_at              TIMESTAMP,
    categories           INTEGER NOT NULL,
    transactional        BOOLEAN NOT NULL,
    from_name            VARCHAR,
    from_address         VARCHAR,
    reply_to             VARCHAR,
    has_unsubscribe      BOOLEAN,
    has_postal_address   BOOLEAN,
    has_list_unsubscribe BOOLEAN,
    sent_count           BIGINT,
    delivered_count      BIGINT,
    opt_out_count        BIGINT,
    complaint_count      BIGINT,
    PRIMARY KEY (system, campaign_id)
);

-- The governance fields of the hub's records as last read.
CREATE TABLE core.consent (
    system          VARCHAR NOT NULL,
    store           VARCHAR NOT NULL,
    record_id       VARCHAR NOT NULL,
    contact_key     UUID NOT NULL,
    country         VARCHAR,
    method          VARCHAR,
    basis           VARCHAR,
    basis_date      DATE,
    basis_ref       VARCHAR,
    last_updated_at TIMESTAMP,
    update_source   VARCHAR,
    update_reason   VARCHAR,
    has_consent_ip  BOOLEAN NOT NULL,
    night           DATE NOT NULL,
    PRIMARY KEY (system, store, record_id)
);

-- What could not be used of what a vendor said.
CREATE TABLE core.finding (
    night       DATE NOT NULL,
    system      VARCHAR NOT NULL,
    stream      VARCHAR NOT NULL,
    code        VARCHAR NOT NULL,
    store       VARCHAR NOT NULL,
    record_id   VARCHAR NOT NULL,
    contact_key UUID,
    field       VARCHAR NOT NULL,
    detail      VARCHAR NOT NULL,
    categories  INTEGER NOT NULL
);

-- What each person's preference should be, with what decided it: one row per (person, category)
-- of whom any system ever held an opt-out. Everyone else is as the hub says.
CREATE TABLE audit.expected (
    contact_key    UUID NOT NULL,
    category       VARCHAR NOT NULL,
    state          VARCHAR NOT NULL,
    reason         VARCHAR NOT NULL,         -- optout.rules.resolution.Reason
    decided_system VARCHAR,
    decided_at     TIMESTAMP,
    decided_from   TIMESTAMP,
    decided_source VARCHAR,
    decided_change UUID
);

CREATE TABLE audit.drift (
    class          VARCHAR NOT NULL,
    system         VARCHAR NOT NULL,
    category       VARCHAR,
    contact_key    UUID NOT NULL,
    expected       VARCHAR,
    actual         VARCHAR,
    reason         VARCHAR,
    store          VARCHAR,                  -- the list, group or audience that causes it
    decided_system VARCHAR,
    decided_at     TIMESTAMP,
    decided_source VARCHAR,
    opened_night   DATE NOT NULL,
    opened_at      TIMESTAMP NOT NULL,       -- cut-off of that night
    seen_night     DATE NOT NULL,            -- the last night that confirmed it
    seen_before    DATE,                     -- the one before that, so that a night can be run again
    closed_night   DATE,
    closed_at      TIMESTAMP
);

-- How many people show what in each cell: the numerators and denominators of the promises. Only of
-- systems that were read completely.
CREATE TABLE audit.cell_count (
    night        DATE NOT NULL,
    system       VARCHAR NOT NULL,
    category     VARCHAR NOT NULL,
    expected_out BOOLEAN NOT NULL,
    actual       VARCHAR NOT NULL,           -- optout.model.Actual
    known        BOOLEAN NOT NULL,           -- to the hub
    class        VARCHAR,                    -- of the drift; NULL: as it should be
    people       BIGINT NOT NULL
);

-- Every promise, every night (docs/metrics.md).
CREATE TABLE mart.metric_daily (
    night          DATE NOT NULL,
    metric         VARCHAR NOT NULL,
    system         VARCHAR,                  -- NULL: over all
    category       VARCHAR,                  -- NULL: over all
    value          DOUBLE,                   -- NULL: unknown
    numerator      DOUBLE,
    denominator    DOUBLE,
    not_comparable BIGINT NOT NULL,
    target         VARCHAR,                  -- as shown: '= 100 %', '>= 99.9 %'; NULL: shown without a promise
    status         VARCHAR NOT NULL,         -- met | missed | unknown | shown
    low            DOUBLE,                   -- confidence interval, where there is one
    high           DOUBLE,
    note           VARCHAR
);
