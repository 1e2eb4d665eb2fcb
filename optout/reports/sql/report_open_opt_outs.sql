-- Opt-outs that some system does not honour yet, as of the last night.
SELECT contact_key, coalesce(category, 'everything') AS category, system, source, occurred_at, time_kind,
       jurisdiction, strict_deadline, legal_deadline, business_days_left, open_systems
FROM audit.opt_out
WHERE is_open
ORDER BY business_days_left, strict_deadline, contact_key, category
