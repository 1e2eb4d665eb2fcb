-- Streams of a night by system, with what they cost and the revision that they were read with; the
-- revision of the night before beside it.
SELECT
    r.system, r.stream, r.is_complete, r.is_skipped, r.role, r.why_not,
    coalesce(r.requests, 0) AS requests,
    coalesce(r.rate_limited, 0) AS rate_limited,
    coalesce(r.waited_seconds, 0) AS waited_seconds,
    r.revision,
    (
        SELECT arg_max(p.revision, p.night) FROM core.source_read AS p
        WHERE p.system = r.system AND p.stream = r.stream AND p.night < r.night
          AND p.revision IS NOT NULL
    ) AS revision_before
FROM core.source_read AS r
WHERE r.night = $night
ORDER BY r.system, r.stream;
