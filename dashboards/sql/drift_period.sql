-- Drift that was open on any night of a period; keys, no addresses.
SELECT class, system, category, contact_key::VARCHAR AS contact_key, expected, actual, reason, store, opened_night,
       closed_night, decided_system, decided_at, decided_source
FROM audit.drift
WHERE opened_night <= $last AND (closed_night IS NULL OR closed_night > $first)
ORDER BY opened_night, class, system, category, contact_key
