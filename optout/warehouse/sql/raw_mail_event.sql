INSERT INTO raw.mail_event BY NAME
SELECT
    m.system, m.stream, m.night, m.read_at, f.filename AS part, f.file_row_number AS part_row,
    f.* EXCLUDE (raw, filename, file_row_number)
FROM read_parquet($files, filename = true, file_row_number = true) AS f
JOIN part_stream AS p ON p.part = f.filename
JOIN raw.manifest AS m ON m.system = $system AND m.stream = p.stream;
