-- Everybody known to any system, category by category: opted out, undeliverable, never asked,
-- unengaged, mailable; whoever fits none is not mailed (subscribed nowhere).

-- One word a person: what the hub says, what any ESP would mail, and what keeps mail away.
CREATE OR REPLACE TEMP TABLE clk_person AS
WITH store AS (
    SELECT
        contact_key, system, store,
        bit_or(sends) AS sends, bit_or(store_blocks) AS store_blocks, bit_or(blocks) AS blocks,
        bit_or(ins) AS ins, bit_or(outs - (outs & weak_outs)) AS outs, bit_or(unclear) AS unclear,
        bool_or(undeliverable) AS is_blocked,
        bool_or(present AND system = $hub) AS in_hub,
        min(coalesce(created_at, valid_from)) AS since
    FROM core.observation
    WHERE night_to IS NULL AND contact_key IS NOT NULL
    GROUP BY contact_key, system, store
),
system AS (
    SELECT
        contact_key, system,
        bit_or(sends - (sends & store_blocks)) AS sends, bit_or(blocks) AS blocks,
        bit_or(ins) AS ins, bit_or(outs) AS outs, bit_or(unclear) AS unclear,
        bool_or(is_blocked) AS is_blocked, bool_or(in_hub) AS in_hub, min(since) AS since
    FROM store
    GROUP BY contact_key, system
)
SELECT
    contact_key,
    bit_or((sends - (sends & blocks)) & s.mask) AS mailable,
    bit_or(CASE WHEN p.system = $hub THEN p.ins ELSE 0 END) AS hub_ins,
    bit_or(CASE WHEN p.system = $hub THEN p.outs ELSE 0 END) AS hub_outs,
    bit_or(CASE WHEN p.system = $hub THEN p.unclear ELSE 0 END) AS hub_unclear,
    bit_or(CASE WHEN p.is_blocked THEN s.mask ELSE 0 END) AS blocked,
    bool_or(in_hub) AS in_hub, min(since) AS since
FROM system AS p
JOIN clk_system AS s ON s.system = p.system
GROUP BY contact_key;

-- The last sign of life: a click, or a purchase that the hub knows of. Never an open.
CREATE OR REPLACE TEMP TABLE clk_active AS
SELECT contact_key, max(active_at) AS active_at
FROM (
    SELECT contact_key, max(occurred_at) AS active_at
    FROM core.mail_event
    WHERE kind = 'clicked' AND occurred_at <= $cutoff
    GROUP BY contact_key
    UNION ALL
    SELECT contact_key, max(CAST(basis_date AS TIMESTAMP))
    FROM core.consent
    WHERE lower(trim(basis)) = 'purchase' AND basis_date <= $night
    GROUP BY contact_key
) AS sign
GROUP BY contact_key;

DELETE FROM audit.audience;

INSERT INTO audit.audience
WITH owed AS (
    SELECT e.contact_key, bit_or(k.bit) AS opted_out
    FROM audit.expected AS e
    JOIN clk_category AS k ON k.category = e.category
    WHERE e.state = 'opted_out'
    GROUP BY e.contact_key
),
masks AS (
    SELECT
        p.contact_key, p.mailable, p.blocked, p.hub_ins,
        coalesce(o.opted_out, 0) | p.hub_outs AS opted_out,
        p.hub_ins | p.hub_outs | p.hub_unclear AS said,
        p.since <= $idle_from AND $evidence_from <= $idle_from
            AND coalesce(a.active_at <= $idle_from, true) AS is_idle
    FROM clk_person AS p
    LEFT JOIN owed AS o ON o.contact_key = p.contact_key
    LEFT JOIN clk_active AS a ON a.contact_key = p.contact_key
),
sorted AS (
    SELECT
        contact_key, is_idle, opted_out,
        mailable - (mailable & opted_out) AS mails,
        $all - opted_out AS rest, blocked, said
    FROM masks
),
named AS (
    SELECT
        contact_key, is_idle, opted_out, mails,
        (rest - mails) & blocked AS undeliverable,
        rest - mails - ((rest - mails) & (blocked | said)) AS never_asked
    FROM sorted
)
SELECT
    contact_key,
    CAST(opted_out AS BIGINT)
        | (CAST(CASE WHEN is_idle THEN mails ELSE 0 END AS BIGINT) << 12)
        | (CAST(never_asked AS BIGINT) << 24)
        | (CAST(undeliverable AS BIGINT) << 36)
        | (CAST(CASE WHEN is_idle THEN 0 ELSE mails END AS BIGINT) << 48)
FROM named;

DELETE FROM mart.audience_daily WHERE night = $night;

INSERT INTO mart.audience_daily
WITH counted AS (
    SELECT word, count(*) AS people FROM audit.audience GROUP BY word
)
SELECT
    $night, k.category,
    CASE WHEN (c.word & k.bit) <> 0 THEN 'opted_out'
         WHEN ((c.word >> 12) & k.bit) <> 0 THEN 'unengaged'
         WHEN ((c.word >> 24) & k.bit) <> 0 THEN 'never_asked'
         WHEN ((c.word >> 36) & k.bit) <> 0 THEN 'undeliverable'
         WHEN ((c.word >> 48) & k.bit) <> 0 THEN 'mailable'
         ELSE 'not_mailed' END AS status,
    CAST(sum(c.people) AS BIGINT)
FROM counted AS c
CROSS JOIN clk_category AS k
GROUP BY ALL;

-- What the hub says of everyone it knows: an opt-out on any record, else what is unclear, else a yes.
DELETE FROM mart.preference_daily WHERE night = $night;

INSERT INTO mart.preference_daily
WITH counted AS (
    SELECT hub_ins, hub_outs, hub_unclear, count(*) AS people
    FROM clk_person WHERE in_hub
    GROUP BY hub_ins, hub_outs, hub_unclear
)
SELECT
    $night, k.category,
    CASE WHEN (c.hub_outs & k.bit) <> 0 THEN 'opted_out'
         WHEN (c.hub_unclear & k.bit) <> 0 THEN 'unclear'
         WHEN (c.hub_ins & k.bit) <> 0 THEN 'opted_in' ELSE 'not_set' END AS state,
    CAST(sum(c.people) AS BIGINT)
FROM counted AS c
CROSS JOIN clk_category AS k
GROUP BY ALL;

-- The company's own rule, where it is switched on: nobody has been seen for so long. Only as far as
-- the evidence reaches back, and never a reason for anything else here.
DELETE FROM audit.sunset;

INSERT INTO audit.sunset
SELECT
    p.contact_key, CAST(a.active_at AS DATE),
    CAST(coalesce(a.active_at, p.since) + to_months(CAST($sunset_months AS INTEGER)) AS DATE)
FROM clk_person AS p
LEFT JOIN clk_active AS a ON a.contact_key = p.contact_key
WHERE $sunset_months IS NOT NULL AND p.mailable <> 0
  AND coalesce(a.active_at, p.since) + to_months(CAST($sunset_months AS INTEGER)) <= $cutoff
  AND $evidence_from + to_months(CAST($sunset_months AS INTEGER)) <= $cutoff;
