-- Opt-outs of the week by what was refused, beside what was delivered of it.
SELECT system, coalesce(category, 'everything') AS category, CAST(sum(opt_outs) AS BIGINT) AS opt_outs,
       CAST(sum(deliveries) AS BIGINT) AS deliveries,
       CASE WHEN sum(deliveries) > 0 THEN sum(opt_outs) / sum(deliveries) END AS rate
FROM mart.opt_out_rate
WHERE night BETWEEN $since AND $until
GROUP BY system, coalesce(category, 'everything')
HAVING sum(opt_outs) + sum(deliveries) > 0
ORDER BY system, category
