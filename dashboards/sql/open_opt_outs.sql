-- Opt-outs that some system does not honour yet, the nearest strict deadline first; keys, no addresses.
SELECT contact_key::VARCHAR AS contact_key, category, system, source, occurred_at, time_kind, jurisdiction,
       strict_deadline, strict_rule, legal_deadline, legal_rule, business_days_left, open_systems
FROM audit.opt_out
WHERE is_open
ORDER BY business_days_left, strict_deadline, contact_key, category
