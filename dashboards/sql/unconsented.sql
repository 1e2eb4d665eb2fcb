-- Marketing sends to people whose consent was over or not proven.
SELECT sent_at, system, category, status, basis, expires_on, jurisdiction, contact_key::VARCHAR AS contact_key,
       campaign_id, sent_kind, found_night
FROM audit.unconsented_send
WHERE found_night <= $night
ORDER BY sent_at DESC, system, contact_key
