-- Each system of the night: complete, why not, and what was read.
SELECT system,
       bool_and(is_complete) AS is_complete,
       string_agg(stream || ': ' || why_not, '; ' ORDER BY stream) FILTER (WHERE NOT is_complete) AS why_not,
       count(*) FILTER (WHERE is_complete AND NOT is_skipped) AS streams_done,
       count(*) FILTER (WHERE NOT is_skipped) AS streams,
       sum(row_count) AS records, sum(finding_count) AS findings, sum(requests) AS requests,
       sum(retries) AS retries, sum(rate_limited) AS rate_limited, sum(waited_seconds) AS waited_seconds,
       sum(failed_requests) AS failed_requests, sum(latency_seconds) AS latency_seconds,
       min(read_at) AS read_at, max(finished_at) AS finished_at
FROM core.source_read
WHERE night = $night
GROUP BY system
ORDER BY system
