-- What was counted tonight for each series of a dimension, and what was said of it.
SELECT o.system, o.key, o.opt_outs, o.deliveries, o.opt_outs / nullif(o.deliveries, 0) AS rate, s.expected,
       s.threshold, coalesce(s.kind, 'not_judged') AS kind
FROM mart.opt_out_series AS o
LEFT JOIN audit.spike AS s
    ON s.night = o.night AND s.dimension = o.dimension AND s.system = o.system AND s.key = o.key
WHERE o.night = $of AND o.dimension = $dimension
ORDER BY o.opt_outs DESC, o.system, o.key
