-- The nights of the period, and whether every system was read completely.
SELECT n.night, n.kind, n.finished_at IS NOT NULL AS is_finished,
       coalesce(bool_and(r.is_complete), false) AS is_complete,
       string_agg(DISTINCT r.system, ', ' ORDER BY r.system) FILTER (WHERE NOT r.is_complete) AS incomplete
FROM core.night AS n
LEFT JOIN core.source_read AS r ON r.night = n.night
WHERE n.night BETWEEN $since AND $until
GROUP BY n.night, n.kind, n.finished_at
ORDER BY n.night
