-- Every promise over all on the report's night, how its nights in the period went, and what they come to:
-- one night on which it was missed is a promise missed.
SELECT m.metric, m.status, m.value, m.low, m.high, CAST(m.numerator AS BIGINT) AS numerator,
       CAST(m.denominator AS BIGINT) AS denominator, m.not_comparable, m.target, m.note,
       n.met, n.missed, n.unknown,
       CASE WHEN n.missed > 0 THEN 'missed' WHEN n.unknown > 0 THEN 'unknown' ELSE 'met' END
           AS over_period
FROM mart.metric_daily AS m
JOIN (
    SELECT metric, count(*) FILTER (WHERE status = 'met') AS met,
           count(*) FILTER (WHERE status = 'missed') AS missed,
           count(*) FILTER (WHERE status = 'unknown') AS unknown
    FROM mart.metric_daily
    WHERE night BETWEEN $since AND $until AND system IS NULL AND category IS NULL
    GROUP BY metric
) AS n ON n.metric = m.metric
WHERE m.night = $night AND m.system IS NULL AND m.category IS NULL AND m.target IS NOT NULL
ORDER BY CASE m.status WHEN 'missed' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END, m.metric
