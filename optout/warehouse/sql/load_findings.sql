INSERT INTO core.finding BY NAME
SELECT DISTINCT night, system, stream, code, store, record_id, contact_key, field, detail, categories
FROM raw.finding
WHERE system = $system;
