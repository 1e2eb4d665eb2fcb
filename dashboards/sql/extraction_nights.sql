-- Nights × systems since $first: streams read to their end, and what it took.
SELECT night, system,
       count(*) FILTER (WHERE is_complete AND NOT is_skipped) AS streams_done,
       count(*) FILTER (WHERE NOT is_skipped) AS streams,
       string_agg(stream || ': ' || why_not, '; ' ORDER BY stream) FILTER (WHERE NOT is_complete) AS why_not,
       sum(row_count) AS records, sum(requests) AS requests, sum(retries) AS retries,
       sum(rate_limited) AS rate_limited, sum(waited_seconds) AS waited_seconds,
       sum(failed_requests) AS failed_requests,
       date_diff('millisecond', min(read_at), max(finished_at)) / 1000.0 AS seconds
FROM core.source_read
WHERE night BETWEEN $first AND $night
GROUP BY night, system
ORDER BY night, system
