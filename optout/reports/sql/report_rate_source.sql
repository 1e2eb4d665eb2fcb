-- Opt-outs of the week by how they were made; deliveries are those of the same systems and nights.
SELECT r.system, coalesce(r.source, 'unknown') AS source, CAST(sum(r.opt_outs) AS BIGINT) AS opt_outs,
       any_value(d.deliveries) AS deliveries,
       CASE WHEN any_value(d.deliveries) > 0 THEN sum(r.opt_outs) / any_value(d.deliveries) END AS rate
FROM mart.opt_out_rate AS r
LEFT JOIN (
    SELECT system, CAST(sum(deliveries) AS BIGINT) AS deliveries
    FROM mart.opt_out_rate
    WHERE night BETWEEN $since AND $until
    GROUP BY system
) AS d ON d.system = r.system
WHERE r.night BETWEEN $since AND $until AND r.opt_outs > 0
GROUP BY r.system, coalesce(r.source, 'unknown')
ORDER BY opt_outs DESC, r.system, source
