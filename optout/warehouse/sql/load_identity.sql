-- Addresses met in changes, mail and consent of people whom no reading shows (any more).
INSERT INTO core.identity BY NAME
SELECT t.contact_key, any_value(t.address) AS address, $key_id AS key_id, $night AS first_night
FROM read_parquet($files, union_by_name = true) AS t
WHERE t.contact_key IS NOT NULL AND t.address IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM core.identity AS i WHERE i.contact_key = t.contact_key)
GROUP BY t.contact_key;
