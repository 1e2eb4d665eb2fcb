-- Opt-outs made per message delivered, by night since $first: unknown where a source was not complete.
SELECT r.night,
       CASE WHEN s.is_complete AND r.deliveries > 0 THEN r.opt_outs / r.deliveries END AS value,
       CASE WHEN s.is_complete AND r.deliveries > 0 THEN 'shown' ELSE 'unknown' END AS status,
       r.opt_outs AS numerator, r.deliveries AS denominator,
       CASE WHEN NOT s.is_complete THEN 'a source was not read completely'
            WHEN r.deliveries = 0 THEN 'nothing was delivered' END AS note
FROM (
    SELECT night, sum(opt_outs) AS opt_outs, sum(deliveries) AS deliveries
    FROM mart.opt_out_rate
    WHERE night BETWEEN $first AND $night
    GROUP BY night
) AS r
JOIN (
    SELECT night, bool_and(is_complete) AS is_complete
    FROM core.source_read
    GROUP BY night
) AS s ON s.night = r.night
ORDER BY r.night
