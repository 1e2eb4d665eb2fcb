-- What mail to each person could rest on, by regime and status.
SELECT regime, status, count(*) AS people
FROM audit.consent
GROUP BY regime, status
ORDER BY regime, status
