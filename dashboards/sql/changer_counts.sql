-- How many people changed how often.
SELECT changes, count(*) AS people
FROM audit.frequent_changer
GROUP BY changes
ORDER BY changes
