-- How many of the hub's records have each governance field.
SELECT system, field, filled, records, CASE WHEN records > 0 THEN filled / records END AS share
FROM mart.field_filled
ORDER BY share, field
