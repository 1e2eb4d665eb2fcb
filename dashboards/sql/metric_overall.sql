-- Every metric over all systems and categories since $first, for trends.
SELECT night, metric, value, status, numerator, denominator, note
FROM mart.metric_daily
WHERE night BETWEEN $first AND $night AND system IS NULL AND category IS NULL
ORDER BY night, metric
