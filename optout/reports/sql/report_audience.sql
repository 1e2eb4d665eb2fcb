-- Who can be mailed, and why not, at the end of the period.
SELECT category, status, people
FROM mart.audience_daily
WHERE night = $night
ORDER BY category, people DESC, status
