-- Drifts that were open at the end of the night, by class (the first column).
SELECT class, system, category, count(*)
FROM audit.drift
WHERE opened_night <= $night AND (closed_night IS NULL OR closed_night > $night)
GROUP BY class, system, category;
