-- Sends on expired or unproven consent that were found in the period.
SELECT status, system, jurisdiction, coalesce(basis, 'none') AS basis, count(*) AS sends,
       count(DISTINCT contact_key) AS people, max(sent_at) AS last_at
FROM audit.unconsented_send
WHERE found_night BETWEEN $since AND $until
GROUP BY status, system, jurisdiction, coalesce(basis, 'none')
ORDER BY sends DESC, status, system, jurisdiction, basis
