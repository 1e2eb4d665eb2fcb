-- What mail to each person could rest on.
SELECT regime, status, count(*) AS people
FROM audit.consent
GROUP BY regime, status
ORDER BY regime, status
