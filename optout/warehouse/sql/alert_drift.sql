-- Open drift of one class by where the opt-out is known and where it is not honoured; beside it how
-- many there were after the night before. Of a system that is configured no more nothing is asked.
SELECT
    coalesce(d.decided_system, 'unknown') AS known_in,
    d.system,
    count(DISTINCT d.contact_key) FILTER (WHERE d.closed_night IS NULL) AS people,
    count(DISTINCT d.contact_key) FILTER (WHERE d.opened_night < $night) AS previous,
    count(DISTINCT d.contact_key) FILTER (WHERE d.closed_night IS NULL AND d.opened_night = $night) AS fresh,
    min(d.opened_night) FILTER (WHERE d.closed_night IS NULL) AS since,
    list_sort(list(DISTINCT d.category) FILTER (WHERE d.closed_night IS NULL AND d.category IS NOT NULL)) AS categories,
    mode(d.store) FILTER (WHERE d.closed_night IS NULL) AS store,
    mode(d.decided_source) FILTER (WHERE d.closed_night IS NULL) AS decided_source
FROM audit.drift AS d
WHERE d.class = $class AND (d.closed_night IS NULL OR d.closed_night = $night)
  AND list_contains($systems, d.system)
GROUP BY ALL
HAVING count(*) FILTER (WHERE d.closed_night IS NULL) > 0
ORDER BY known_in, d.system;
