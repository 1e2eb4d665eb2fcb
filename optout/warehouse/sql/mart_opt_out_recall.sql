-- Of the people who have to be opted out and whom the system blocks or would mail: how many it blocks.
SELECT
    system, category,
    sum(CASE WHEN class_or_none <> 'not_comparable' AND actual = 'opted_out' THEN people ELSE 0 END),
    sum(CASE WHEN class_or_none <> 'not_comparable' AND actual IN ('opted_out', 'mailable')
             THEN people ELSE 0 END),
    sum(CASE WHEN class_or_none = 'not_comparable' THEN people ELSE 0 END)
FROM (SELECT *, coalesce(class, '') AS class_or_none FROM audit.cell_count) AS c
WHERE night = $night AND expected_out
GROUP BY GROUPING SETS ((system, category), (system), ());
