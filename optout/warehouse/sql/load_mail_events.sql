INSERT INTO core.mail_event BY NAME
SELECT
    e.event_key, e.night, e.system, e.contact_key, e.kind, e."at" AS occurred_at,
    e.at_kind AS time_kind, e.campaign_id, e.message_id, e.categories, e.transactional, e.bypass
FROM (
    SELECT
        md5(m.system || '|' || m.event_id)::UUID AS event_key,
        m.*,
        row_number() OVER (
            PARTITION BY m.event_id ORDER BY m.part DESC, m.part_row DESC
        ) AS rank_in_night
    FROM raw.mail_event AS m
    WHERE m.system = $system AND m.contact_key IS NOT NULL AND m."at" IS NOT NULL
) AS e
WHERE e.rank_in_night = 1
  AND NOT EXISTS (SELECT 1 FROM core.mail_event AS k WHERE k.event_key = e.event_key);
