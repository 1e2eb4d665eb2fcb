-- Gaps of the trail by system and kind, as counted tonight and the night before.
SELECT
    system, word AS kind,
    coalesce(sum(gaps) FILTER (WHERE night = $night), 0) AS gaps,
    sum(gaps) FILTER (WHERE night < $night) AS before
FROM mart.trail_daily
WHERE dimension = 'kind' AND night IN (
    SELECT DISTINCT night FROM mart.trail_daily WHERE night <= $night ORDER BY night DESC LIMIT 2
)
GROUP BY system, word
ORDER BY system, gaps DESC, kind;
