-- Open drift, worst class and oldest first; keys, no addresses.
SELECT class, system, category, contact_key::VARCHAR AS contact_key, expected, actual, reason, store, opened_night,
       opened_at, date_diff('day', opened_night, $night) AS age_nights, decided_system, decided_at, decided_source
FROM audit.drift
WHERE opened_night <= $night AND (closed_night IS NULL OR closed_night > $night)
ORDER BY CASE class WHEN 'unhonoured_opt_out' THEN 1 WHEN 'lost_opt_out' THEN 2 WHEN 'orphan_mailable' THEN 3
                    WHEN 'over_suppressed' THEN 4 WHEN 'not_comparable' THEN 5 WHEN 'conflicting_duplicates' THEN 6
                    ELSE 7 END,
         opened_night, system, category, contact_key
