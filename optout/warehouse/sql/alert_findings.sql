-- What could not be used tonight, by system, kind and field, beside the most of any night of the week
-- before.
SELECT
    system, code, field,
    count(*) FILTER (WHERE night = $night) AS records,
    coalesce((
        SELECT max(n) FROM (
            SELECT count(*) AS n FROM core.finding AS p
            WHERE p.system = f.system AND p.code = f.code AND p.field = f.field
              AND p.night < $night AND p.night >= $night - 7
            GROUP BY p.night
        )
    ), 0) AS most_before,
    (SELECT count(*) FROM core.night WHERE night < $night AND kind = 'run') AS nights_before
FROM core.finding AS f
WHERE night = $night
GROUP BY system, code, field
ORDER BY system, code, field;
