-- Of the comparable cells of people who need not be opted out: how many are blocked by an opt-out
-- that a later opt-in lifted.
SELECT
    system, category,
    sum(CASE WHEN class = 'over_suppressed' THEN people ELSE 0 END),
    sum(CASE WHEN coalesce(class, '') <> 'not_comparable' AND actual IN ('opted_out', 'mailable')
             THEN people ELSE 0 END),
    sum(CASE WHEN class = 'not_comparable' THEN people ELSE 0 END)
FROM audit.cell_count
WHERE night = $night AND NOT expected_out
GROUP BY GROUPING SETS ((system, category), (system), ());
