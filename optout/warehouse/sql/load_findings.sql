INSERT INTO core.finding BY NAME
SELECT DISTINCT
    $night AS night, $system AS system, p.stream, f.code, f.store, f.record_id, f.contact_key,
    f.field, f.detail, f.categories
FROM read_parquet($files, filename = true) AS f
JOIN part_stream AS p ON p.part = f.filename;
