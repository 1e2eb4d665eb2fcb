-- What could not be used of what a vendor said tonight, by kind.
SELECT system, stream, code, field, count(*) AS findings, count(DISTINCT contact_key) AS people
FROM core.finding
WHERE night = $night
GROUP BY system, stream, code, field
ORDER BY findings DESC, system, stream, code, field
LIMIT 100
