-- When each system stopped mailing what each act is about, from the nights on which it was read; the
-- vendor's own word where it falls between them. The hub counts as a system: it has to show it.
CREATE OR REPLACE TEMP TABLE clk_target AS
SELECT
    w.word_id, w.contact_key, s.system, w.occurred_at, w.occurred_from, w.lifted_at,
    (CASE WHEN w.bit = 0 THEN $all ELSE w.bit END) & s.mask AS scope
FROM clk_out AS w
CROSS JOIN clk_system AS s
WHERE w.is_root AND ((CASE WHEN w.bit = 0 THEN $all ELSE w.bit END) & s.mask) <> 0;

CREATE OR REPLACE TEMP TABLE clk_record AS
SELECT
    o.system, o.contact_key, o.store, o.night_from, o.night_to,
    CASE WHEN o.system = $hub THEN CASE WHEN o.present THEN $all ELSE 0 END ELSE o.sends END AS sends,
    CASE WHEN o.system = $hub THEN o.outs ELSE o.blocks END AS blocks,
    o.store_blocks
FROM core.observation AS o
WHERE o.contact_key IN (SELECT contact_key FROM clk_target);

-- What a system would send, each time a record of the person there changed.
CREATE OR REPLACE TEMP TABLE clk_state AS
WITH turn AS (
    SELECT contact_key, system, night_from AS night FROM clk_record
    UNION
    SELECT contact_key, system, night_to FROM clk_record WHERE night_to IS NOT NULL
),
store AS (
    SELECT
        t.contact_key, t.system, t.night, r.store,
        bit_or(r.sends) AS sends, bit_or(r.store_blocks) AS store_blocks, bit_or(r.blocks) AS blocks
    FROM turn AS t
    JOIN clk_record AS r
        ON r.contact_key = t.contact_key AND r.system = t.system
       AND r.night_from <= t.night AND (r.night_to IS NULL OR r.night_to > t.night)
    GROUP BY t.contact_key, t.system, t.night, r.store
),
person AS (
    SELECT
        contact_key, system, night,
        bit_or(sends - (sends & store_blocks)) AS sends, bit_or(blocks) AS blocks
    FROM store
    GROUP BY contact_key, system, night
)
SELECT
    t.contact_key, t.system, t.night,
    coalesce(p.sends - (p.sends & p.blocks), 0) AS mails
FROM turn AS t
LEFT JOIN person AS p
    ON p.contact_key = t.contact_key AND p.system = t.system AND p.night = t.night;

CREATE OR REPLACE TEMP TABLE clk_read AS
SELECT
    system, night, min(read_at) FILTER (NOT is_skipped) AS first_at,
    max(read_at) FILTER (NOT is_skipped) AS last_at,
    bool_and(is_complete OR is_skipped) AS is_complete
FROM core.source_read
WHERE night <= $night
GROUP BY system, night
HAVING count(*) FILTER (NOT is_skipped) > 0;

-- The first read that can have seen the act, and the state before, at and after it.
CREATE OR REPLACE TEMP TABLE clk_seen AS
WITH first_read AS (
    SELECT t.*, r.night AS seen_night, r.last_at AS seen_by
    FROM clk_target AS t
    ASOF LEFT JOIN (SELECT * FROM clk_read WHERE is_complete) AS r
        ON r.system = t.system AND t.occurred_at <= r.first_at
),
earlier AS (
    SELECT f.*, e.first_at AS before_at
    FROM first_read AS f
    ASOF LEFT JOIN (SELECT * FROM clk_read WHERE is_complete) AS e
        ON e.system = f.system AND f.seen_night > e.night
)
SELECT
    f.word_id, f.contact_key, f.system, f.occurred_at, f.occurred_from, f.lifted_at, f.scope,
    f.seen_night, f.seen_by, f.before_at,
    coalesce(arg_max(s.mails & f.scope, s.night) FILTER (s.night < f.seen_night), 0)
        AS before_mails,
    coalesce(arg_max(s.mails & f.scope, s.night) FILTER (s.night <= f.seen_night), 0)
        AS seen_mails,
    coalesce(bool_or(s.night = f.seen_night), false) AS is_turn,
    min(s.night) FILTER (s.night > f.seen_night AND (s.mails & f.scope) = 0) AS later_night,
    coalesce(arg_max(s.mails & f.scope, s.night), 0) AS last_mails
FROM earlier AS f
LEFT JOIN clk_state AS s ON s.contact_key = f.contact_key AND s.system = f.system
GROUP BY
    f.word_id, f.contact_key, f.system, f.occurred_at, f.occurred_from, f.lifted_at, f.scope,
    f.seen_night, f.seen_by, f.before_at;

-- Bounds by the reads alone.
CREATE OR REPLACE TEMP TABLE clk_bound AS
WITH done AS (
    SELECT
        *,
        CASE WHEN seen_mails = 0 THEN seen_night ELSE later_night END AS done_night
    FROM clk_seen
),
known AS (
    SELECT d.*, r.last_at AS done_by, l.first_at AS mailed_at, coalesce(s.mails, 0) & d.scope AS was
    FROM done AS d
    LEFT JOIN clk_read AS r ON r.system = d.system AND r.night = d.done_night
    ASOF LEFT JOIN (SELECT * FROM clk_read WHERE is_complete) AS l
        ON l.system = d.system AND coalesce(d.done_night, $night + 1) > l.night
    ASOF LEFT JOIN clk_state AS s
        ON s.contact_key = d.contact_key AND s.system = d.system AND d.done_night > s.night
)
SELECT
    *,
    coalesce(
        done_night = seen_night AND before_at IS NOT NULL AND before_mails = 0 AND NOT is_turn, false
    ) AS was_blocked,
    seen_night IS NULL
        OR (lifted_at IS NOT NULL AND coalesce(done_by, lifted_at) >= lifted_at) AS is_unseen,
    CASE WHEN seen_night IS NULL OR done_night = seen_night THEN occurred_at
         ELSE greatest(occurred_at, coalesce(mailed_at, occurred_at)) END AS stopped_from,
    was <> 0 AS is_turned,                            -- it was seen mailing, then not
    CASE WHEN was <> 0 THEN was ELSE scope END AS need
FROM known;

-- The system's own word, category by category; the last category's moment is the system's. Where it
-- was not seen mailing before, it may have been blocked already: then this is a bound only.
CREATE OR REPLACE TEMP TABLE clk_told AS
WITH word AS (
    SELECT contact_key, system, bit, effective_at
    FROM clk_stand
    WHERE effective_at IS NOT NULL
),
category AS (
    SELECT
        b.word_id, b.system, k.bit,
        CASE WHEN any_value(b.is_turned)
             THEN min(w.effective_at) FILTER (
                    w.effective_at >= b.stopped_from AND w.effective_at <= b.done_by)
             WHEN count(w.effective_at) FILTER (w.effective_at <= b.done_by) > 0
             THEN coalesce(
                    min(w.effective_at) FILTER (
                        w.effective_at >= b.occurred_at AND w.effective_at <= b.done_by),
                    any_value(b.occurred_at)) END AS told_at
    FROM clk_bound AS b
    JOIN clk_category AS k ON (k.bit & b.need) <> 0
    LEFT JOIN word AS w
        ON w.contact_key = b.contact_key AND w.system = b.system AND (w.bit = 0 OR w.bit = k.bit)
    WHERE b.done_by IS NOT NULL AND NOT b.was_blocked
    GROUP BY b.word_id, b.system, k.bit
)
SELECT word_id, system, max(told_at) AS told_at
FROM category
GROUP BY word_id, system
HAVING count(told_at) = count(*);

DELETE FROM audit.opt_out_effect;

INSERT INTO audit.opt_out_effect
SELECT
    b.word_id, b.system,
    CASE WHEN b.is_unseen THEN b.occurred_at
         WHEN b.system = o.system AND o.effective_at BETWEEN b.stopped_from AND b.done_by
         THEN o.effective_at
         WHEN b.is_turned THEN coalesce(t.told_at, b.stopped_from)
         ELSE b.stopped_from END,
    CASE WHEN b.is_unseen THEN NULL
         WHEN b.system = o.system AND o.effective_at BETWEEN b.stopped_from AND b.done_by
         THEN o.effective_at
         WHEN b.was_blocked THEN b.occurred_at
         ELSE coalesce(t.told_at, b.done_by) END,
    NOT b.is_unseen AND t.told_at IS NOT NULL,
    b.is_unseen,
    b.lifted_at IS NULL AND b.last_mails <> 0
FROM clk_bound AS b
JOIN clk_out AS o ON o.word_id = b.word_id
LEFT JOIN clk_told AS t ON t.word_id = b.word_id AND t.system = b.system;

DELETE FROM audit.opt_out;

INSERT INTO audit.opt_out BY NAME
WITH system_wide AS (
    SELECT
        opt_out_id,
        max(stopped_from) AS honoured_from,
        CASE WHEN count(stopped_at) = count(*) THEN max(stopped_at) END AS honoured_at,
        bool_or(is_unseen) AS is_unseen,
        bool_or(is_mailing) AS is_open,
        string_agg(system, ',' ORDER BY system) FILTER (is_mailing) AS open_systems
    FROM audit.opt_out_effect
    GROUP BY opt_out_id
)
SELECT
    w.word_id AS opt_out_id, w.contact_key, w.category, w.system, w.source, w.is_own, w.campaign_id,
    w.occurred_at, w.occurred_from, w.time_kind, w.received_at,
    w.is_guess OR w.time_kind <> 'source' AS is_start_estimated,
    w.jurisdiction, w.jurisdiction_kind,
    w.strict_deadline, w.strict_late_from, w.strict_rule,
    w.legal_deadline, w.legal_late_from, w.legal_rule,
    w.lifted_at, s.honoured_from, s.honoured_at,
    coalesce(s.honoured_from = s.honoured_at, false) AND w.time_kind = 'source' AS is_exact,
    coalesce(s.is_unseen, true) AS is_unseen,
    coalesce(s.is_open, false) AS is_open,
    s.open_systems,
    CASE WHEN s.is_open THEN d.days_left END AS business_days_left
FROM clk_out AS w
LEFT JOIN system_wide AS s ON s.opt_out_id = w.word_id
LEFT JOIN clk_days_left AS d
    ON d.zone = w.zone AND d.deadline = w.strict_deadline
WHERE w.is_root;
