-- Drifts that are open after the night, by class (the first column). Only the latest night is measured.
SELECT class, system, category, count(*)
FROM audit.drift
WHERE closed_night IS NULL
GROUP BY class, system, category;
