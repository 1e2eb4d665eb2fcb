-- Everybody known, by what a category may do with them.
SELECT category, status, people
FROM mart.audience_daily
WHERE night = $night
ORDER BY category, status
