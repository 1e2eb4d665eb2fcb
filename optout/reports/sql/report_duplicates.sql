-- People with several records of one store, and those whose records contradict each other.
SELECT coalesce(d.system, c.system) AS system, coalesce(d.store, '') AS store, coalesce(d.people, 0) AS people,
       CAST(coalesce(d.records, 0) AS BIGINT) AS records, coalesce(c.people, 0) AS contradicting
FROM mart.duplicate AS d
FULL JOIN (
    SELECT system, coalesce(store, '') AS store, count(DISTINCT contact_key) AS people
    FROM audit.drift
    WHERE class = 'conflicting_duplicates' AND opened_night <= $night
      AND (closed_night IS NULL OR closed_night > $night)
    GROUP BY system, coalesce(store, '')
) AS c ON c.system = d.system AND c.store = d.store
ORDER BY people DESC, system, store
