-- Open drift by what causes it: the store, the reason, and what decided.
SELECT class, system, store, reason, decided_system, decided_source, count(*) AS cells,
       count(DISTINCT contact_key) AS people, min(opened_night) AS oldest
FROM audit.drift
WHERE opened_night <= $night AND (closed_night IS NULL OR closed_night > $night)
  AND class IN ('unhonoured_opt_out', 'orphan_mailable', 'lost_opt_out', 'over_suppressed')
GROUP BY class, system, store, reason, decided_system, decided_source
ORDER BY cells DESC, class, system, store, reason, decided_system, decided_source
LIMIT 40
