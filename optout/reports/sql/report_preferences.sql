-- What the hub says of everyone: at the end of the period, and on its first night.
SELECT coalesce(e.category, b.category) AS category, coalesce(e.state, b.state) AS state,
       coalesce(e.people, 0) AS people, coalesce(e.people, 0) / t.total AS share,
       CASE WHEN f.night < $night THEN coalesce(e.people, 0) - coalesce(b.people, 0) END AS change
FROM (SELECT * FROM mart.preference_daily WHERE night = $night) AS e
FULL JOIN (
    SELECT * FROM mart.preference_daily
    WHERE night = (SELECT min(night) FROM mart.preference_daily WHERE night BETWEEN $since AND $until)
) AS b ON b.category = e.category AND b.state = e.state
JOIN (
    SELECT category, sum(people) AS total FROM mart.preference_daily WHERE night = $night GROUP BY category
) AS t ON t.category = coalesce(e.category, b.category)
CROSS JOIN (
    SELECT min(night) AS night FROM mart.preference_daily WHERE night BETWEEN $since AND $until
) AS f
ORDER BY category, state
