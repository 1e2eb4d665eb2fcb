-- Gaps of the trail as of the last night.
SELECT kind, system, source, coalesce(missing, '') AS missing, count(*) AS gaps,
       count(*) FILTER (WHERE night BETWEEN $since AND $until) AS new_gaps
FROM audit.trail_gap
WHERE night <= $until
GROUP BY kind, system, source, coalesce(missing, '')
ORDER BY gaps DESC, kind, system, source, missing
