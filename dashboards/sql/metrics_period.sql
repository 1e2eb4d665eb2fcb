-- Every figure of every night of a period.
SELECT night, metric, system, category, value, numerator, denominator, not_comparable, target, status, low, high, note
FROM mart.metric_daily
WHERE night BETWEEN $first AND $last
ORDER BY night, metric, system NULLS FIRST, category NULLS FIRST
