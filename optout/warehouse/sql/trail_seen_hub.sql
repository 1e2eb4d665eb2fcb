-- The hub's fields as each version of a record showed them. An unreadable value is a word of its
-- own; where nothing of a record can be read, nothing is known of its fields.
CREATE OR REPLACE TEMP TABLE trail_version AS
SELECT
    v.*,
    lag(v.word) OVER w AS before,
    coalesce(lag(v.is_deleted) OVER w, true) AS is_first
FROM (
    SELECT
        o.system, o.stream, concat_ws('/', o.store, o.record_id) AS holder, o.contact_key,
        coalesce(f.category, '*') AS field, o.night_from, o.night_to, o.is_deleted,
        o.valid_from, o.seen_after,
        CASE
            WHEN o.unclear = $all AND $all > 1 THEN NULL
            WHEN f.category IS NULL THEN
                CASE WHEN o.global_out THEN 'opted_out' ELSE 'opted_in' END
            WHEN (o.unclear & f.bit) <> 0 THEN 'unclear'
            WHEN (o.category_outs & f.bit) <> 0 THEN 'opted_out'
            WHEN (o.ins & f.bit) <> 0 THEN 'opted_in'
            ELSE 'not_set'
        END AS word
    FROM core.observation AS o
    JOIN trail_system AS s ON s.system = o.system AND s.is_hub
    CROSS JOIN trail_field AS f
) AS v
WHERE v.word IS NOT NULL
WINDOW w AS (PARTITION BY v.system, v.holder, v.field ORDER BY v.night_from);

-- What two nights show to have changed.
CREATE OR REPLACE TEMP TABLE trail_seen AS
SELECT
    md5(concat_ws('|', 'seen', system, holder, field, night_from))::UUID AS unit_id,
    system, holder, field, before AS old, word AS new, contact_key, night_from AS night,
    seen_after AS after_at, valid_from AS upto_at
FROM trail_version
WHERE NOT is_first AND word <> before;

-- It is evidence of the last change in between of which something else tells. An entry that was
-- not there yet in that night is of this change only if it says the same of the value before.
CREATE OR REPLACE TEMP TABLE trail_attached AS
SELECT s.unit_id AS seen_id, arg_max(u.unit_id, (coalesce(u.written_at, s.after_at), u.position)) AS unit_id
FROM trail_seen AS s
JOIN trail_unit AS u
    ON u.system = s.system AND u.holder = s.holder AND u.field = s.field AND u.new = s.new
WHERE u.night = s.night
   OR (u.written_at > s.after_at - $tolerance AND u.written_at <= s.upto_at + $tolerance
       AND (u.has_witness OR u.night < s.night OR u.old = s.old))
GROUP BY s.unit_id;

UPDATE trail_unit SET has_witness = true
WHERE unit_id IN (SELECT unit_id FROM trail_attached);

INSERT INTO trail_unit BY NAME
SELECT
    unit_id, system, true AS is_hub, holder, field, new, night, contact_key,
    upto_at AS occurred_at, upto_at AS written_at, false AS is_dated, false AS has_entry,
    true AS has_witness, NULL AS position, NULL AS told_position, old, NULL AS missing,
    'unknown' AS source
FROM trail_seen
WHERE unit_id NOT IN (SELECT seen_id FROM trail_attached);

-- Until when each record was seen: its history went with it.
CREATE OR REPLACE TEMP TABLE trail_sight AS
SELECT g.system, g.holder, g.is_here, r.read_at AS last_at
FROM (
    SELECT
        o.system, concat_ws('/', o.store, o.record_id) AS holder, any_value(o.stream) AS stream,
        bool_or(o.night_to IS NULL) AS is_here, max(o.night_to) AS gone_night
    FROM core.observation AS o
    JOIN trail_system AS s ON s.system = o.system AND s.is_hub
    GROUP BY ALL
) AS g
ASOF LEFT JOIN (
    SELECT system, stream, night, read_at FROM core.source_read WHERE is_complete AND NOT is_skipped
) AS r ON r.system = g.system AND r.stream = g.stream AND r.night < g.gone_night;

CREATE OR REPLACE TEMP TABLE trail_aside AS
SELECT u.unit_id, u.system, u.written_at > $cutoff AND coalesce(g.is_here, true) AS is_waiting
FROM trail_unit AS u
LEFT JOIN trail_sight AS g ON g.system = u.system AND g.holder = u.holder
WHERE u.is_hub AND NOT u.has_entry
  AND (g.holder IS NULL OR (u.is_dated AND u.written_at > $cutoff)
       OR (NOT g.is_here AND u.is_dated AND u.written_at > g.last_at));

DELETE FROM trail_unit WHERE unit_id IN (SELECT unit_id FROM trail_aside);
