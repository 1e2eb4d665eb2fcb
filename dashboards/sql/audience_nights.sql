-- The same over all categories, night by night since $first.
SELECT night, status, sum(people) AS people
FROM mart.audience_daily
WHERE night BETWEEN $first AND $night
GROUP BY night, status
ORDER BY night, status
