-- What a system shows of people, by whether the hub knows them and what is expected: the migration's arithmetic.
SELECT category, known, expected_out, actual, coalesce(class, 'as_expected') AS class, sum(people) AS people
FROM audit.cell_count
WHERE night = $night AND system = $system
GROUP BY category, known, expected_out, actual, class
ORDER BY category, known DESC, expected_out DESC, actual, class
