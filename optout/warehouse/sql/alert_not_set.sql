-- People of whom the hub says nothing, by category: tonight and the night before.
SELECT
    category,
    sum(people) FILTER (WHERE night = $night AND state = 'not_set') AS not_set,
    sum(people) FILTER (WHERE night = $night) AS everyone,
    sum(people) FILTER (WHERE night < $night AND state = 'not_set') AS not_set_before,
    sum(people) FILTER (WHERE night < $night) AS everyone_before
FROM mart.preference_daily
WHERE night IN (
    SELECT DISTINCT night FROM mart.preference_daily WHERE night <= $night
    ORDER BY night DESC LIMIT 2
)
GROUP BY category
ORDER BY category;
