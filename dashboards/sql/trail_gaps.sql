-- What is lacking in the trail, newest first; keys, no addresses.
SELECT kind, system, field, missing, source, occurred_at, night, contact_key::VARCHAR AS contact_key
FROM audit.trail_gap
WHERE night <= $night
ORDER BY night DESC, occurred_at DESC NULLS LAST, system, kind, contact_key, field
