-- People who have to be opted out, whom the system neither mails nor shows as opted out.
SELECT
    system, category, sum(people), NULL, 0
FROM audit.cell_count
WHERE night = $night AND expected_out AND actual = 'neither' AND coalesce(class, '') <> 'not_comparable'
GROUP BY GROUPING SETS ((system, category), (system), ());
