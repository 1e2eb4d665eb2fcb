-- What was read, night by night of a period.
SELECT night, system, stream, is_complete, is_skipped, why_not, read_at, finished_at, row_count, requests, revision
FROM core.source_read
WHERE night BETWEEN $first AND $last
ORDER BY night, system, stream
