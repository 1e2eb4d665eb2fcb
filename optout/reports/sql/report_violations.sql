-- Sends after an opt-out that were found in the period; keys, no addresses.
SELECT grade, system, coalesce(category, 'everything') AS category, contact_key, opted_out_at, opted_out_kind,
       opted_out_in, sent_at, sent_kind, campaign_id, strict_deadline, legal_deadline, jurisdiction,
       event_key
FROM audit.violation
WHERE found_night BETWEEN $since AND $until
ORDER BY CASE grade WHEN 'legal_breach' THEN 1 WHEN 'breach' THEN 2 ELSE 3 END, sent_at, system, contact_key
