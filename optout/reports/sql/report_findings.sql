-- What could not be used of what a vendor said: on the last night, and on how many nights of the period.
SELECT system, stream, code, field, count(*) FILTER (WHERE night = $night) AS tonight, count(*) AS in_period,
       count(DISTINCT night) AS nights
FROM core.finding
WHERE night BETWEEN $since AND $until
GROUP BY system, stream, code, field
ORDER BY in_period DESC, system, stream, code, field
