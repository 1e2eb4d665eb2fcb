-- What was said tonight of each series, the widest first; of a sum of nights, how much of it is left
-- without those nights that were told as spikes when they came.
SELECT
    s.kind, s.dimension, s.system, s.key, s.since, s.window_nights, s.opt_outs, s.deliveries, s.expected, s.rate,
    s.ratio, s.note,
    s.opt_outs - coalesce(t.opt_outs, 0) AS untold,
    s.expected - coalesce(t.expected, 0) AS untold_expected
FROM audit.spike AS s
LEFT JOIN (
    SELECT s.system, s.dimension, s.key, sum(b.opt_outs) AS opt_outs, sum(b.expected) AS expected
    FROM audit.spike AS s
    JOIN audit.spike AS b
        ON b.system = s.system AND b.dimension = s.dimension AND b.key = s.key
       AND b.kind IN ('spike', 'scanner') AND b.window_nights = 1
       AND b.night < s.night AND b.night > s.night - s.window_nights
    WHERE s.night = $night AND s.kind = 'slow_rise'
    GROUP BY ALL
) AS t ON s.kind = 'slow_rise' AND t.system = s.system AND t.dimension = s.dimension AND t.key = s.key
WHERE s.night = $night
ORDER BY s.system, CASE s.dimension WHEN 'system' THEN 0 WHEN 'category' THEN 1 WHEN 'source' THEN 2
                                    WHEN 'domain' THEN 3 ELSE 4 END, s.opt_outs DESC, s.key;
