-- The same by grade and system.
SELECT grade, system, count(*) AS sends, count(DISTINCT contact_key) AS people, min(sent_at) AS first_at,
       max(sent_at) AS last_at
FROM audit.violation
WHERE found_night BETWEEN $since AND $until
GROUP BY grade, system
ORDER BY CASE grade WHEN 'legal_breach' THEN 1 WHEN 'breach' THEN 2 ELSE 3 END, system
