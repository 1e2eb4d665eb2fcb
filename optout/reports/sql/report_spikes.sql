-- Unusual counts of opt-outs in the period.
SELECT night, kind, dimension, system, key, opt_outs, deliveries, expected, ratio
FROM audit.spike
WHERE night BETWEEN $since AND $until AND kind IN ('spike', 'slow_rise', 'dead_feed', 'scanner')
ORDER BY night, kind, system, dimension, key
