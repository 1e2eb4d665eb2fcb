-- People whose last safe day falls into each coming week.
SELECT week_from, basis, sum(people) AS people
FROM audit.consent_forecast
GROUP BY week_from, basis
ORDER BY week_from, basis
