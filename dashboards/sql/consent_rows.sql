-- Consents that end soon, are over or not proven: whom to ask while it is still allowed; keys, no addresses.
SELECT contact_key::VARCHAR AS contact_key, status, basis, last_safe_day, expires_on, days_left, jurisdiction, regime
FROM audit.consent
WHERE status <> 'ok'
ORDER BY CASE status WHEN 'within_7' THEN 1 WHEN 'within_30' THEN 2 WHEN 'within_60' THEN 3 WHEN 'expired' THEN 4
                     ELSE 5 END,
         days_left, contact_key
