-- What opened and closed on the nights of the period.
SELECT class, system,
       count(*) FILTER (WHERE opened_night BETWEEN $since AND $until) AS opened,
       count(*) FILTER (WHERE closed_night BETWEEN $since AND $until) AS closed,
       count(*) FILTER (WHERE opened_night <= $night AND (closed_night IS NULL OR closed_night > $night)) AS open
FROM audit.drift
WHERE opened_night <= $until
GROUP BY class, system
HAVING opened + closed + open > 0
ORDER BY class, system
