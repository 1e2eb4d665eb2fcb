-- What was said of series of opt-outs since $first, where something was found.
SELECT night, kind, dimension, system, key AS campaign, since, window_nights, opt_outs, deliveries, expected, rate,
       ratio, p_value, note
FROM audit.spike
WHERE night BETWEEN $first AND $night AND kind IN ('spike', 'slow_rise', 'dead_feed', 'scanner')
ORDER BY night DESC, p_value, dimension, system, campaign
