-- When the last complete read before each night began: what was new in a night was written later.
CREATE OR REPLACE TEMP TABLE trail_before AS
SELECT system, night, lag(min(read_at)) OVER (PARTITION BY system ORDER BY night) AS read_at
FROM core.source_read
WHERE stream IN (SELECT DISTINCT stream FROM trail_version) AND NOT is_skipped
GROUP BY system, night
HAVING bool_and(is_complete);

-- The changes of each field of the hub in the order in which they were written. Entries are
-- written one after the other, whatever time they claim; those that were taken out stood where
-- they were first seen.
CREATE OR REPLACE TEMP TABLE trail_written AS
SELECT
    u.unit_id, u.system, u.holder, u.field, u.position, u.told_position,
    CASE WHEN u.told_position IS NOT NULL THEN coalesce(
            max(greatest(u.written_at, b.read_at)) OVER (
                PARTITION BY u.system, u.holder, u.told_position IS NULL
                ORDER BY u.told_position, u.field ROWS UNBOUNDED PRECEDING
            ), TIMESTAMP '-infinity')
         ELSE coalesce(u.written_at, TIMESTAMP 'infinity') END AS order_at
FROM trail_unit AS u
LEFT JOIN trail_before AS b ON b.system = u.system AND b.night = u.night
WHERE u.is_hub;

CREATE OR REPLACE TEMP TABLE trail_place AS
SELECT
    w.*, u.new, u.old, u.night, u.has_entry, u.has_witness,
    row_number() OVER (
        PARTITION BY w.system, w.holder, w.field
        ORDER BY w.order_at, w.told_position NULLS LAST, w.unit_id
    ) AS place
FROM trail_written AS w
JOIN trail_unit AS u ON u.unit_id = w.unit_id;

-- The first complete read at or after each night: only that can contradict.
CREATE OR REPLACE TEMP TABLE trail_next AS
SELECT r.system, r.stream, n.night, min(r.night) AS next_night
FROM (SELECT DISTINCT night FROM core.night) AS n
JOIN core.source_read AS r ON r.night >= n.night AND r.is_complete AND NOT r.is_skipped
JOIN core.night AS k ON k.night = r.night AND k.kind = 'run'
JOIN trail_system AS s ON s.system = r.system AND s.is_hub
GROUP BY r.system, r.stream, n.night;

CREATE OR REPLACE TEMP TABLE trail_phantom (unit_id UUID);

-- An entry within the time that the hub's other feed covers without a break, of a field that this
-- feed would have told of (it tells nothing where a field was unset before), is of no change.
CREATE OR REPLACE TEMP TABLE trail_covered AS
SELECT system, after_at, read_at AS upto_at
FROM (
    SELECT system, read_at, note, lag(read_at) OVER (PARTITION BY system ORDER BY night) AS after_at
    FROM core.source_read
    WHERE stream = $feed AND is_complete AND NOT is_skipped
)
WHERE after_at IS NOT NULL AND note IS NULL;

INSERT INTO trail_phantom
SELECT p.unit_id
FROM trail_place AS p
JOIN trail_unit AS u ON u.unit_id = p.unit_id
JOIN trail_covered AS c
    ON c.system = u.system AND u.occurred_at > c.after_at AND u.occurred_at <= c.upto_at
JOIN trail_version AS v
    ON v.system = u.system AND v.holder = u.holder AND v.field = u.field AND v.is_first
   AND v.valid_from <= c.after_at
WHERE p.has_entry AND NOT p.has_witness AND u.is_dated AND u.old IN ('opted_in', 'opted_out')
  AND (u.field <> '*' OR u.old = 'opted_out');
