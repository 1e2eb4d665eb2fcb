-- Every figure of the night.
SELECT metric, system, category, value, numerator, denominator, not_comparable, target, status, low, high, note
FROM mart.metric_daily
WHERE night = $night
ORDER BY metric, system NULLS FIRST, category NULLS FIRST
