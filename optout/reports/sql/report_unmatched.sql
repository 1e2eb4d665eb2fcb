-- People whom one side knows and the other does not.
SELECT class, system, count(DISTINCT contact_key) AS people
FROM audit.drift
WHERE class IN ('missing_here', 'orphan_mailable') AND opened_night <= $night
  AND (closed_night IS NULL OR closed_night > $night)
GROUP BY class, system
ORDER BY class, system
