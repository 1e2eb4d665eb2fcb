-- One metric a system and night since $first.
SELECT night, system, value, status, numerator, denominator, note
FROM mart.metric_daily
WHERE night BETWEEN $first AND $night AND metric = $metric AND system IS NOT NULL AND category IS NULL
ORDER BY night, system
