-- Of each system: changes that are known, those with a complete record, gaps, and changes of
-- records that went before their history could be read.
SELECT
    c.system, count(*) AS changes, count(*) FILTER (c.fault IS NULL) AS complete,
    any_value(coalesce(g.gaps, 0)) AS gaps, any_value(coalesce(u.changes, 0)) AS unjudged
FROM audit.trail_change AS c
LEFT JOIN (SELECT system, count(*) AS gaps FROM audit.trail_gap GROUP BY system) AS g
    ON g.system = c.system
LEFT JOIN audit.trail_unjudged AS u ON u.system = c.system
GROUP BY c.system;
