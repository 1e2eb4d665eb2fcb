-- The plain addresses of tonight's people, whichever record told of them.
INSERT INTO core.identity BY NAME
SELECT t.contact_key, any_value(t.address) AS address, $key_id AS key_id, $night AS first_night
FROM (
    SELECT contact_key, address FROM raw.reading WHERE system = $system
    UNION ALL
    SELECT contact_key, address FROM raw.change WHERE system = $system
    UNION ALL
    SELECT contact_key, address FROM raw.mail_event WHERE system = $system
    UNION ALL
    SELECT contact_key, address FROM raw.consent WHERE system = $system
) AS t
WHERE t.contact_key IS NOT NULL AND t.address IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM core.identity AS i WHERE i.contact_key = t.contact_key)
GROUP BY t.contact_key;
