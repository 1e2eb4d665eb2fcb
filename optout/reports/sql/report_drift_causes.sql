-- Open drift by what causes it.
SELECT class, system, coalesce(store, '') AS store, coalesce(reason, '') AS reason,
       coalesce(decided_system, '') AS decided_system, coalesce(decided_source, '') AS decided_source,
       count(*) AS cells, count(DISTINCT contact_key) AS people
FROM audit.drift
WHERE opened_night <= $night AND (closed_night IS NULL OR closed_night > $night)
GROUP BY ALL
ORDER BY cells DESC, class, system, store, reason, decided_system, decided_source
