-- Of the cells that say something (mailable or opted out): how many say what is expected.
SELECT
    system, category,
    sum(CASE WHEN class IS NULL AND actual IN ('opted_out', 'mailable') THEN people ELSE 0 END),
    sum(CASE WHEN coalesce(class, '') <> 'not_comparable' AND actual IN ('opted_out', 'mailable')
             THEN people ELSE 0 END),
    sum(CASE WHEN class = 'not_comparable' THEN people ELSE 0 END)
FROM audit.cell_count
WHERE night = $night
GROUP BY GROUPING SETS ((system, category), (system), ());
