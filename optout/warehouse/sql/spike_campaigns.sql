-- Totals of campaigns: those with mail or opt-outs tonight, then earlier ones, newest first. What comes
-- after $life nights is nobody's reaction to the campaign any more.
WITH life AS (
    SELECT system, key, min(night) AS first_night
    FROM mart.opt_out_series
    WHERE dimension = 'campaign' AND deliveries > 0 AND night > $night - $history::INTEGER
    GROUP BY system, key
),
total AS (
    SELECT
        l.system, l.key, l.first_night, bool_or(s.night = $night) AS is_tonight,
        sum(s.opt_outs)::BIGINT AS opt_outs, sum(s.deliveries)::BIGINT AS deliveries
    FROM life AS l
    JOIN mart.opt_out_series AS s
        ON s.dimension = 'campaign' AND s.system = l.system AND s.key = l.key
       AND s.night BETWEEN l.first_night AND least(l.first_night + $life::INTEGER - 1, $night)
    GROUP BY l.system, l.key, l.first_night
),
flagged AS (
    SELECT DISTINCT system, key
    FROM audit.spike
    WHERE dimension = 'campaign' AND night < $night
      AND kind IN ('spike', 'slow_rise', 'scanner', 'dead_feed')
)
SELECT
    t.system, t.key, coalesce(c.categories, 0) AS categories, t.is_tonight,
    f.key IS NOT NULL AS is_flagged, t.opt_outs, t.deliveries
FROM total AS t
LEFT JOIN core.campaign AS c ON c.system = t.system AND c.campaign_id = t.key
LEFT JOIN flagged AS f ON f.system = t.system AND f.key = t.key
ORDER BY t.is_tonight DESC, t.first_night DESC, t.system, t.key;
