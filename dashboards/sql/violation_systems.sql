-- By system and grade.
SELECT system, grade, count(*) AS sends, count(DISTINCT contact_key) AS people, max(sent_at) AS last_at
FROM audit.violation
WHERE found_night <= $night
GROUP BY system, grade
ORDER BY sends DESC, system, grade
