-- Disagreements opened and closed per night since $first, by class.
SELECT night, class, sum(opened) AS opened, sum(closed) AS closed
FROM (
    SELECT opened_night AS night, class, 1 AS opened, 0 AS closed
    FROM audit.drift
    WHERE opened_night BETWEEN $first AND $night
    UNION ALL
    SELECT closed_night, class, 0, 1
    FROM audit.drift
    WHERE closed_night BETWEEN $first AND $night
) AS f
WHERE class IN ('unhonoured_opt_out', 'orphan_mailable', 'lost_opt_out', 'over_suppressed')
GROUP BY night, class
ORDER BY night, class
