-- Of the people whose opt-out is not honoured: the nearest strict deadline, and how many were mailed
-- by that system since they opted out.
SELECT
    coalesce(d.decided_system, 'unknown') AS known_in,
    d.system,
    min(o.strict_deadline) AS deadline,
    count(DISTINCT v.contact_key) AS mailed
FROM audit.drift AS d
LEFT JOIN audit.opt_out AS o
    ON o.contact_key = d.contact_key AND o.is_open
   AND (o.category IS NULL OR o.category = d.category)
   AND list_contains(string_split(o.open_systems, ','), d.system)
LEFT JOIN audit.violation AS v
    ON v.contact_key = d.contact_key AND v.system = d.system
   AND (v.category IS NULL OR v.category = d.category)
WHERE d.class = 'unhonoured_opt_out' AND d.closed_night IS NULL
GROUP BY ALL;
