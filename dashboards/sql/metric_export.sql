-- Every figure of every night.
SELECT night, metric, system, category, value, numerator, denominator, not_comparable, target, status, low, high,
       note
FROM mart.metric_daily
WHERE night <= $night
ORDER BY night, metric, system NULLS FIRST, category NULLS FIRST
