-- Night by night; unknown where a source was not read completely.
SELECT r.night, CASE WHEN s.is_complete THEN 'complete' ELSE 'incomplete' END AS status,
       CAST(sum(r.opt_outs) AS BIGINT) AS opt_outs, CAST(sum(r.deliveries) AS BIGINT) AS deliveries,
       CASE WHEN s.is_complete AND sum(r.deliveries) > 0 THEN sum(r.opt_outs) / sum(r.deliveries) END AS rate
FROM mart.opt_out_rate AS r
JOIN (
    SELECT night, bool_and(is_complete) AS is_complete
    FROM core.source_read
    GROUP BY night
) AS s ON s.night = r.night
WHERE r.night BETWEEN $since AND $until
GROUP BY r.night, s.is_complete
ORDER BY r.night
