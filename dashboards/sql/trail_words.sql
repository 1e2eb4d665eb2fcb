-- The completeness of the trail by what it is made of.
SELECT system, dimension, word, changes, complete, gaps
FROM mart.trail_daily
WHERE night = $night AND dimension = $dimension
ORDER BY gaps DESC, system, word
