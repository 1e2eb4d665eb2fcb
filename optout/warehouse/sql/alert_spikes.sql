-- What was said tonight of each series, the widest first.
SELECT kind, dimension, system, key, since, window_nights, opt_outs, deliveries, expected, rate, ratio, note
FROM audit.spike
WHERE night = $night
ORDER BY system, CASE dimension WHEN 'system' THEN 0 WHEN 'category' THEN 1 WHEN 'source' THEN 2
                                WHEN 'domain' THEN 3 ELSE 4 END, opt_outs DESC, key;
