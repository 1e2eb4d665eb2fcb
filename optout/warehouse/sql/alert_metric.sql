-- A metric over the last nights that were run, the newest first.
SELECT m.night, m.system, m.category, m.value, m.numerator, m.denominator, m.status, m.low, m.high,
       m.target, m.note
FROM mart.metric_daily AS m
WHERE m.metric = $metric
  AND m.night IN (
        SELECT night FROM core.night WHERE night <= $night AND kind = 'run'
        ORDER BY night DESC LIMIT $nights
  )
ORDER BY m.system NULLS FIRST, m.category NULLS FIRST, m.night DESC;
