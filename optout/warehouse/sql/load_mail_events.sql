INSERT INTO core.mail_event BY NAME
SELECT
    e.event_key, $night AS night, $system AS system, e.contact_key, e.kind, e.at, e.at_kind,
    e.campaign_id, e.message_id, e.categories, e.transactional, e.bypass
FROM (
    SELECT
        md5($system || '|' || m.event_id)::UUID AS event_key,
        m.* EXCLUDE (event_id, filename, raw, address),
        row_number() OVER (PARTITION BY m.event_id ORDER BY m.filename DESC, m.at) AS rank_in_night
    FROM read_parquet($files, filename = true) AS m
    WHERE m.contact_key IS NOT NULL AND m.at IS NOT NULL
) AS e
WHERE e.rank_in_night = 1
  AND NOT EXISTS (SELECT 1 FROM core.mail_event AS k WHERE k.event_key = e.event_key);
