-- Each system on the report's night, and on how many nights of the period it was read completely.
SELECT t.system, CASE WHEN t.is_complete THEN 'complete' ELSE 'incomplete' END AS status, t.why_not, t.records,
       t.findings, p.complete, p.nights
FROM (
    SELECT system, bool_and(is_complete) AS is_complete,
           string_agg(stream || ': ' || why_not, '; ' ORDER BY stream) FILTER (WHERE NOT is_complete) AS why_not,
           CAST(sum(row_count) AS BIGINT) AS records, CAST(sum(finding_count) AS BIGINT) AS findings
    FROM core.source_read
    WHERE night = $night
    GROUP BY system
) AS t
JOIN (
    SELECT system, count(*) FILTER (WHERE is_complete) AS complete, count(*) AS nights
    FROM (
        SELECT system, night, bool_and(is_complete) AS is_complete
        FROM core.source_read
        WHERE night BETWEEN $since AND $until
        GROUP BY system, night
    ) AS n
    GROUP BY system
) AS p ON p.system = t.system
ORDER BY t.system
