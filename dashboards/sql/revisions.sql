-- Nights on which a vendor's API revision differs from that of the read before.
SELECT night, system, stream, previous, revision
FROM (
    SELECT night, system, stream, revision,
           lag(revision) OVER (PARTITION BY system, stream ORDER BY night) AS previous
    FROM core.source_read
    WHERE night <= $night AND revision IS NOT NULL
) AS r
WHERE previous IS NOT NULL AND previous <> revision
ORDER BY night DESC, system, stream
LIMIT 50
