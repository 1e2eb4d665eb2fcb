-- The same, system by system.
SELECT metric, system, status, value, low, high, CAST(numerator AS BIGINT) AS numerator,
       CAST(denominator AS BIGINT) AS denominator, not_comparable, target, note
FROM mart.metric_daily
WHERE night = $night AND system IS NOT NULL AND category IS NULL AND target IS NOT NULL
ORDER BY metric, system
