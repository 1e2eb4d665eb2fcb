-- Open drift by class and age.
SELECT class,
       CASE WHEN age = 0 THEN 'tonight' WHEN age < 3 THEN '1–2 nights' WHEN age < 8 THEN '3–7 nights'
            WHEN age < 31 THEN '8–30 nights' ELSE 'over 30 nights' END AS bucket,
       min(age) AS least, count(*) AS cells
FROM (
    SELECT class, date_diff('day', opened_night, $night) AS age
    FROM audit.drift
    WHERE opened_night <= $night AND (closed_night IS NULL OR closed_night > $night)
) AS d
GROUP BY class, bucket
ORDER BY least, class
