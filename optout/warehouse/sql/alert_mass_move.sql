-- Nights on which many people went from out to in without an act of their own: tonight's moves, and
-- earlier ones (a month back) of which some are still unmended.
SELECT
    m.night, m.system,
    sum(m.people) AS people,
    max(m.everyone) AS everyone,
    arg_max(m.source, m.people) AS source,
    (
        SELECT count(DISTINCT d.contact_key) FROM audit.drift AS d
        WHERE d.class = 'unhonoured_opt_out' AND d.system = m.system AND d.opened_night = m.night
          AND d.closed_night IS NULL AND list_contains($systems, d.system)
    ) AS still_open
FROM audit.move AS m
WHERE NOT m.is_personal AND m.night <= $night AND m.night > $night - 30
GROUP BY m.night, m.system
ORDER BY m.system, m.night DESC;
