-- Sends after an opt-out, the gravest and newest first; keys, no addresses.
SELECT grade, system, category, contact_key::VARCHAR AS contact_key, opted_out_at, opted_out_kind, opted_out_in,
       sent_at, sent_kind, campaign_id, beyond_strict, strict_deadline, legal_deadline, jurisdiction, is_bypass,
       is_global, found_night
FROM audit.violation
WHERE found_night <= $night
ORDER BY CASE grade WHEN 'legal_breach' THEN 1 WHEN 'breach' THEN 2 ELSE 3 END, sent_at DESC, system, contact_key
