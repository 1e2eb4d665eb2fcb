-- By basis.
SELECT coalesce(basis, 'none') AS basis, status, count(*) AS people
FROM audit.consent
GROUP BY ALL
ORDER BY basis, status
