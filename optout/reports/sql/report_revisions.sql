-- Which revision of each vendor's API was read.
SELECT DISTINCT system, revision
FROM core.source_read
WHERE night = $night AND revision IS NOT NULL
ORDER BY system
