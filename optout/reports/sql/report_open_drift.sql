-- Open drift by class, system and age.
SELECT class, system, count(*) AS cells, count(DISTINCT contact_key) AS people, min(opened_night) AS oldest,
       max(date_diff('day', opened_night, $night)) AS oldest_nights
FROM audit.drift
WHERE opened_night <= $night AND (closed_night IS NULL OR closed_night > $night)
GROUP BY class, system
ORDER BY class, system
