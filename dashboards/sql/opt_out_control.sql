-- The rate of each series of a dimension, night by night, with what was expected, the limit that it had to stay
-- below, and what was said of it.
SELECT o.night, o.system, o.key, o.opt_outs, o.deliveries, o.opt_outs / nullif(o.deliveries, 0) AS value,
       CASE WHEN s.window_nights = 1 THEN s.expected / nullif(s.deliveries, 0) END AS low,
       CASE WHEN s.window_nights = 1 THEN s.threshold / nullif(s.deliveries, 0) END AS high,
       s.kind, coalesce(s.kind IN ('spike', 'slow_rise', 'dead_feed', 'scanner'), false) AS is_flagged
FROM mart.opt_out_series AS o
LEFT JOIN audit.spike AS s
    ON s.night = o.night AND s.dimension = o.dimension AND s.system = o.system AND s.key = o.key
WHERE o.night BETWEEN $first AND $night AND o.dimension = $dimension
ORDER BY o.night, o.system, o.key
