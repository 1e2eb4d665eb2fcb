-- Marketing that went out without a consent to rest on, judged by what is known tonight of the sends
-- of the day: later paper does not mend an earlier send, nor does its end spoil one.
DELETE FROM audit.unconsented_send WHERE found_night >= $night;

INSERT INTO audit.unconsented_send BY NAME
WITH told AS (
    SELECT
        m.event_key, m.system, m.contact_key, m.campaign_id, m.occurred_at, m.time_kind,
        CASE m.kind WHEN 'sent' THEN 0 WHEN 'delivered' THEN 1 ELSE 2 END AS kind,
        m.categories, c.status, c.basis, c.expires_on, c.countries, c.zone,
        coalesce(m.message_id, m.campaign_id, CAST(m.event_key AS VARCHAR)) AS message
    FROM core.mail_event AS m
    JOIN clk_consent AS c ON c.contact_key = m.contact_key AND c.place = 1
    WHERE m.kind IN ('sent', 'delivered', 'bounced') AND NOT m.transactional
      AND m.occurred_at <= $cutoff AND (m.night = $night OR m.occurred_at > $since)
      AND (c.status = 'not_proven' OR c.expires_on IS NOT NULL)
),
without AS (
    SELECT *, min(kind) OVER (PARTITION BY system, contact_key, message) AS best
    FROM told
    WHERE status = 'not_proven'
       OR CAST((occurred_at AT TIME ZONE 'UTC') AT TIME ZONE zone AS DATE) >= expires_on
)
SELECT
    w.event_key, w.system, k.category, w.contact_key, w.campaign_id, w.occurred_at AS sent_at,
    w.time_kind AS sent_kind,
    CASE WHEN w.status = 'not_proven' THEN w.status ELSE 'expired' END AS status,
    w.basis, w.expires_on, coalesce(w.countries, 'unknown') AS jurisdiction, $night AS found_night
FROM without AS w
LEFT JOIN clk_category AS k ON k.bit = w.categories
WHERE w.kind = w.best
  AND NOT EXISTS (  -- the delivery, told a night later, of a message that was counted as sent
        SELECT 1 FROM audit.unconsented_send AS u
        WHERE u.system = w.system AND u.contact_key = w.contact_key
          AND u.campaign_id = w.campaign_id
          AND (w.kind <> 0 OR u.event_key = w.event_key)
          AND u.sent_at BETWEEN w.occurred_at - INTERVAL 1 DAY AND w.occurred_at
  );
