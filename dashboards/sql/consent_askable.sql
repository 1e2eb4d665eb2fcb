-- People whose consent ends within 60 days, by the week of the last safe day: all of them, and those who did not
-- opt out of every category: only they may be asked.
SELECT date_trunc('week', last_safe_day)::DATE AS week, basis, count(*) AS people,
       count(*) FILTER (WHERE opted_out <> (SELECT sum(bit) FROM mart.category)) AS askable
FROM audit.consent
WHERE status IN ('within_7', 'within_30', 'within_60')
GROUP BY week, basis
ORDER BY week, basis
