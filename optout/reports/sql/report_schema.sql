-- The version of the warehouse's schema.
SELECT 'schema' AS system, version AS revision
FROM core.schema_version
