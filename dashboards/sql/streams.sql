-- Each stream of the night.
SELECT system, stream, is_complete, is_skipped, is_full, why_not, row_count, vendor_total, read_total, finding_count,
       requests, retries, rate_limited, waited_seconds, failed_requests,
       latency_seconds / nullif(requests, 0) AS latency_each, revision, read_at, finished_at, note
FROM core.source_read
WHERE night = $night
ORDER BY is_complete, system, stream
