-- Every change with what is wrong about the system's own record of it.

-- What a read showed and no change explains: at least one change of which nothing tells.
INSERT INTO trail_unit BY NAME
SELECT
    md5(concat_ws('|', 'implied', c.system, c.holder, c.field, c.night))::UUID AS unit_id,
    c.system, true AS is_hub, c.holder, c.field, c.word AS new, c.night, c.contact_key,
    c.valid_from AS occurred_at, NULL AS written_at, false AS is_dated, false AS has_entry,
    false AS has_witness, NULL AS position, NULL AS told_position, NULL AS old, NULL AS missing,
    'unknown' AS source
FROM trail_contradicted AS c;

-- The chain of entries: each old value is the new one of the entry before it. An entry of a change
-- that never was may stand between; what cannot be read may have said the rest.
CREATE OR REPLACE TEMP TABLE trail_unread AS
SELECT
    e.system, concat_ws('/', e.store, e.record_id) AS holder, e.position, e.categories, e.night,
    EXISTS (
        SELECT 1 FROM core.history_entry AS r
        WHERE r.system = e.system AND r.store = e.store AND r.record_id = e.record_id
          AND r.position = e.position AND r.change_id IS NOT NULL
    ) AND e.problem = 'unparsable' AS is_part
FROM core.history_entry AS e
JOIN trail_system AS s ON s.system = e.system
WHERE e.problem IS NOT NULL;

CREATE OR REPLACE TEMP TABLE trail_link AS
SELECT
    *,
    lag(new) OVER w AS last_new, lag(position) OVER w AS last_position,
    lag(new) OVER r AS real_new
FROM (
    SELECT u.unit_id, u.system, u.holder, u.field, u.position, u.old, u.new,
           p.unit_id IS NOT NULL AS is_phantom
    FROM trail_unit AS u
    LEFT JOIN (SELECT DISTINCT unit_id FROM trail_phantom) AS p ON p.unit_id = u.unit_id
    WHERE u.is_hub AND u.has_entry
)
WINDOW
    w AS (PARTITION BY system, holder, field ORDER BY position),
    r AS (PARTITION BY system, holder, field, is_phantom ORDER BY position);

CREATE OR REPLACE TEMP TABLE trail_broken AS
SELECT l.unit_id
FROM trail_link AS l
LEFT JOIN trail_field AS f ON f.category = l.field
WHERE NOT l.is_phantom AND l.old IS NOT NULL
  AND l.old <> coalesce(l.last_new, CASE WHEN l.field = '*' THEN 'opted_in' ELSE 'not_set' END)
  AND l.old <> coalesce(l.real_new, CASE WHEN l.field = '*' THEN 'opted_in' ELSE 'not_set' END)
  AND NOT EXISTS (
        SELECT 1 FROM trail_unread AS n
        WHERE n.system = l.system AND n.holder = l.holder AND NOT n.is_part
          AND (n.position IS NULL OR n.position < l.position)
          AND (n.position IS NULL OR l.last_position IS NULL OR n.position > l.last_position)
          AND (n.categories = 0 OR f.bit IS NULL OR (n.categories & f.bit) <> 0)
  );

-- An entry that cannot be read stands for the changes of one moment that have no other: those after
-- as many readable entries as stand before it and that became known in the same night; else for what
-- has the one or the other. A field that cannot be read at all stands for every one.
CREATE OR REPLACE TEMP TABLE trail_lacking AS
SELECT
    u.unit_id, u.system, u.holder, f.bit, u.night,
    coalesce(w.order_at, u.occurred_at) AS order_at,
    (SELECT count(DISTINCT e.position) FROM trail_written AS e
     WHERE e.system = u.system AND e.holder = u.holder AND e.position IS NOT NULL
       AND e.order_at <= coalesce(w.order_at, u.occurred_at)) AS slot
FROM trail_unit AS u
LEFT JOIN trail_written AS w ON w.unit_id = u.unit_id
LEFT JOIN trail_field AS f ON f.category = u.field
WHERE u.is_hub AND NOT u.has_entry
  AND EXISTS (SELECT 1 FROM trail_unread AS n
              WHERE n.system = u.system AND n.holder = u.holder AND NOT n.is_part);

CREATE OR REPLACE TEMP TABLE trail_entry_unread AS
SELECT
    r.*,
    (SELECT count(DISTINCT e.position) FROM trail_written AS e
     WHERE e.system = r.system AND e.holder = r.holder AND e.position < r.position) AS slot
FROM trail_unread AS r
WHERE NOT r.is_part;

CREATE OR REPLACE TEMP TABLE trail_stands_for AS
SELECT n.system, n.holder, n.position, n.categories, l.unit_id
FROM trail_entry_unread AS n
JOIN trail_lacking AS l ON l.system = n.system AND l.holder = n.holder
WHERE n.position IS NULL;

-- The nth entry that stands for nothing yet, and the changes of the nth moment that have none.
CREATE OR REPLACE TEMP MACRO trail_matched(by_slot, by_night) AS TABLE
SELECT n.system, n.holder, n.position, n.categories, l.unit_id
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY system, holder,
            CASE WHEN by_slot THEN slot END, CASE WHEN by_night THEN night END
        ORDER BY position, categories) AS nth
    FROM trail_entry_unread AS e
    WHERE position IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM trail_stands_for AS k
        WHERE k.system = e.system AND k.holder = e.holder AND k.position = e.position
          AND k.categories = e.categories)
) AS n
JOIN (
    SELECT *, dense_rank() OVER (
        PARTITION BY system, holder,
            CASE WHEN by_slot THEN slot END, CASE WHEN by_night THEN night END
        ORDER BY order_at) AS nth
    FROM trail_lacking WHERE unit_id NOT IN (SELECT unit_id FROM trail_stands_for)
) AS l
    ON l.system = n.system AND l.holder = n.holder AND l.nth = n.nth
   AND (NOT by_slot OR l.slot = n.slot) AND (NOT by_night OR l.night = n.night)
WHERE n.categories = 0 OR l.bit IS NULL OR (n.categories & l.bit) <> 0;

INSERT INTO trail_stands_for FROM trail_matched(by_slot := true, by_night := true);

INSERT INTO trail_stands_for FROM trail_matched(by_slot := false, by_night := true);

INSERT INTO trail_stands_for FROM trail_matched(by_slot := true, by_night := false);

DROP MACRO TABLE trail_matched;

-- One that stands for nothing that is known is a change of its own.
INSERT INTO trail_unit BY NAME
SELECT
    md5(concat_ws('|', 'unread', n.system, n.holder, coalesce(n.position, -1), n.categories))::UUID AS unit_id,
    n.system, true AS is_hub, n.holder, f.category AS field, NULL AS new, n.night,
    v.contact_key, NULL AS occurred_at, NULL AS written_at, false AS is_dated, true AS has_entry,
    false AS has_witness, n.position, NULL AS told_position, NULL AS old, NULL AS missing,
    'unknown' AS source
FROM trail_unread AS n
LEFT JOIN (SELECT category, bit FROM trail_field WHERE category IS NOT NULL) AS f
    ON f.bit = n.categories
LEFT JOIN (
    SELECT system, holder, arg_max(contact_key, night_from) AS contact_key
    FROM trail_version GROUP BY system, holder
) AS v ON v.system = n.system AND v.holder = n.holder
WHERE NOT n.is_part
  AND NOT EXISTS (
        SELECT 1 FROM trail_stands_for AS k
        WHERE k.system = n.system AND k.holder = n.holder
          AND k.position IS NOT DISTINCT FROM n.position AND k.categories = n.categories
  );

-- Records of which there was no history at all when they were first read.
CREATE OR REPLACE TEMP TABLE trail_history AS
SELECT system, holder, min(night) AS night
FROM trail_told
WHERE is_hub AND feed = $history_feed
GROUP BY system, holder;

DELETE FROM audit.trail_change WHERE system IN (SELECT system FROM trail_system);

INSERT INTO audit.trail_change BY NAME
SELECT
    j.* EXCLUDE (is_implied, is_bare),
    CASE
        WHEN NOT j.is_real THEN 'phantom'
        WHEN NOT j.is_readable THEN 'unparsable'
        WHEN NOT j.has_entry AND j.is_implied AND j.is_bare THEN 'no_history'
        WHEN NOT j.has_entry AND j.is_implied THEN 'broken_chain'
        WHEN NOT j.has_entry THEN 'change_without_entry'
        WHEN NOT j.is_chained THEN 'broken_chain'
        WHEN j.missing IS NOT NULL THEN 'missing_required_field'
    END AS fault
FROM (
    SELECT
        u.unit_id, u.system, u.contact_key,
        CASE WHEN u.field = '*' THEN 'global' ELSE u.field END AS field, u.new AS new_state,
        u.occurred_at, u.night,
        u.source, u.has_entry OR k.unit_id IS NOT NULL AS has_entry,
        k.unit_id IS NULL AND n.unit_id IS NULL AND u.new IS NOT NULL AS is_readable,
        b.unit_id IS NULL AS is_chained, p.unit_id IS NULL AS is_real,
        nullif(CASE WHEN n.unit_id IS NULL THEN u.missing
                    ELSE list_aggregate(list_filter(
                        string_split(u.missing, ','), lambda x: x <> 'at'), 'string_agg', ',')
               END, '') AS missing,
        u.is_hub AND NOT u.has_entry AND NOT u.has_witness AS is_implied,
        h.holder IS NULL OR h.night > u.night AS is_bare
    FROM trail_unit AS u
    LEFT JOIN (SELECT DISTINCT unit_id FROM trail_stands_for) AS k ON k.unit_id = u.unit_id
    LEFT JOIN (
        SELECT DISTINCT t.unit_id FROM trail_unit AS t
        JOIN trail_unread AS r
            ON r.is_part AND r.system = t.system AND r.holder = t.holder AND r.position = t.position
        WHERE t.has_entry
    ) AS n ON n.unit_id = u.unit_id
    LEFT JOIN trail_broken AS b ON b.unit_id = u.unit_id
    LEFT JOIN (SELECT DISTINCT unit_id FROM trail_phantom) AS p ON p.unit_id = u.unit_id
    LEFT JOIN trail_history AS h ON h.system = u.system AND h.holder = u.holder
) AS j;

DELETE FROM audit.trail_gap WHERE system IN (SELECT system FROM trail_system);

INSERT INTO audit.trail_gap BY NAME
SELECT
    md5(concat_ws('|', g.unit_id, g.kind, g.missing))::UUID AS gap_id, g.*
FROM (
    SELECT c.fault AS kind, c.system, c.field, c.contact_key, c.occurred_at, c.night, c.source,
           NULL AS missing, c.unit_id
    FROM audit.trail_change AS c
    JOIN trail_system AS s ON s.system = c.system
    WHERE c.fault NOT IN ('missing_required_field')
    UNION ALL
    SELECT 'missing_required_field', c.system, c.field, c.contact_key, c.occurred_at, c.night,
           c.source, unnest(string_split(c.missing, ',')), c.unit_id
    FROM audit.trail_change AS c
    JOIN trail_system AS s ON s.system = c.system
    WHERE c.missing IS NOT NULL AND c.is_real
) AS g;

DELETE FROM audit.trail_unjudged WHERE system IN (SELECT system FROM trail_system);

INSERT INTO audit.trail_unjudged
SELECT system, count(*) FROM trail_aside WHERE NOT is_waiting GROUP BY system;
