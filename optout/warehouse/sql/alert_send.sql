-- Sends after an opt-out, found within two months, by who mailed; `is_unmended`: that person would
-- still be mailed there, if we mail from there any more.
SELECT
    v.system,
    v.opted_out_in AS known_in,
    v.event_key::VARCHAR AS event_key,
    v.category,
    v.grade,
    v.found_night,
    v.campaign_id,
    v.strict_deadline AS deadline,
    v.contact_key::VARCHAR AS person,
    list_contains($systems, v.system) AND EXISTS (
        SELECT 1 FROM audit.drift AS d
        WHERE d.class = 'unhonoured_opt_out' AND d.closed_night IS NULL AND d.system = v.system
          AND d.contact_key = v.contact_key
    ) AS is_unmended
FROM audit.violation AS v
WHERE v.found_night <= $night AND v.found_night > $night - 60
ORDER BY v.system, v.found_night, event_key;
