-- The same by what the changes are made of. A required field counts the entries that could have it
-- and those that do; a kind of gap, the changes that it concerns.
INSERT INTO mart.trail_daily
SELECT
    $night, system, dimension, word, count(*) AS changes, count(*) FILTER (fault IS NULL) AS complete,
    count(*) FILTER (fault IS NOT NULL) AS gaps
FROM (
    SELECT c.system, c.fault, d.dimension, d.word
    FROM audit.trail_change AS c
    CROSS JOIN LATERAL (
        SELECT unnest(['field', 'source']) AS dimension,
               unnest([coalesce(c.field, 'unknown'), c.source]) AS word
    ) AS d
)
GROUP BY system, dimension, word;

INSERT INTO mart.trail_daily
SELECT $night, g.system, 'missing_field', g.missing, e.entries, e.entries - count(*), count(*)
FROM audit.trail_gap AS g
JOIN (
    SELECT system, count(*) AS entries FROM audit.trail_change
    WHERE has_entry AND is_real GROUP BY system
) AS e ON e.system = g.system
WHERE g.kind = 'missing_required_field'
GROUP BY g.system, g.missing, e.entries;

INSERT INTO mart.trail_daily
SELECT $night, g.system, 'kind', g.kind, e.changes, e.changes - count(DISTINCT g.unit_id), count(*)
FROM audit.trail_gap AS g
JOIN (
    SELECT system, count(*) AS changes FROM audit.trail_change GROUP BY system
) AS e ON e.system = g.system
GROUP BY g.system, g.kind, e.changes;
