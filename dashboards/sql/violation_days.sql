-- Sends after an opt-out by day of sending and grade, since $first.
SELECT CAST(sent_at AS DATE) AS day, grade, count(*) AS sends
FROM audit.violation
WHERE found_night <= $night AND sent_at >= $first
GROUP BY day, grade
ORDER BY day, grade
