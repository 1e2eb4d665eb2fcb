-- Nightly counts of every series that had mail or opt-outs lately, and whether the night was flagged.
-- A level that has stood for $new_normal nights is the new normal; a dead feed never is.
WITH flagged AS (
    SELECT DISTINCT night, dimension, system, key
    FROM audit.spike
    WHERE kind = 'dead_feed'
       OR (kind IN ('spike', 'slow_rise', 'scanner') AND night >= $night - $new_normal::INTEGER)
)
SELECT
    s.dimension, s.system, s.key, ($night - s.night)::INTEGER AS ago, s.opt_outs, s.deliveries,
    f.night IS NOT NULL AS is_flagged
FROM mart.opt_out_series AS s
LEFT JOIN flagged AS f
    ON f.night = s.night AND f.dimension = s.dimension AND f.system = s.system AND f.key = s.key
WHERE s.dimension <> 'campaign' AND s.night BETWEEN $from_night AND $night
  AND EXISTS (
        SELECT 1 FROM mart.opt_out_series AS l
        WHERE l.dimension = s.dimension AND l.system = s.system AND l.key = s.key
          AND l.night BETWEEN $night - 14 AND $night
  );
