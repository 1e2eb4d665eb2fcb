-- The nights since $first.
SELECT night, cutoff_at, kind, finished_at
FROM core.night
WHERE night BETWEEN $first AND $night
ORDER BY night
