-- Messages to people who ever opted out: a vendor tells of one message as sent, delivered, or both,
-- and not every vendor numbers its messages per person.
CREATE OR REPLACE TEMP TABLE clk_send AS
WITH told AS (
    SELECT *, coalesce(message_id, campaign_id, CAST(event_key AS VARCHAR)) AS message
    FROM core.mail_event
    WHERE kind IN ('sent', 'delivered', 'bounced') AND NOT transactional AND occurred_at <= $cutoff
      AND contact_key IN (SELECT contact_key FROM clk_out)
),
best AS (
    SELECT
        system, contact_key, message,
        CASE WHEN bool_or(kind = 'sent') THEN 'sent'
             WHEN bool_or(kind = 'delivered') THEN 'delivered' ELSE 'bounced' END AS kind,
        bit_or(categories) AS categories, bool_or(bypass) AS is_bypass
    FROM told
    GROUP BY system, contact_key, message
)
SELECT
    t.event_key, t.system, t.contact_key, t.campaign_id, t.occurred_at AS sent_at,
    t.time_kind AS sent_kind, b.categories, b.is_bypass
FROM told AS t
JOIN best AS b
    ON b.system = t.system AND b.contact_key = t.contact_key AND b.message = t.message
   AND b.kind = t.kind;

-- A message without a category counts against opt-outs of everything only.
CREATE OR REPLACE TEMP TABLE clk_violation AS
WITH covered AS (
    SELECT
        s.*, w.word_id, w.bit, w.occurred_at, w.time_kind, w.system AS out_system, w.jurisdiction,
        w.strict_late_from, w.legal_late_from, w.strict_deadline, w.legal_deadline,
        row_number() OVER (
            PARTITION BY s.event_key
            ORDER BY w.occurred_at, w.strict_late_from, w.bit, w.word_id
        ) AS place
    FROM clk_send AS s
    JOIN clk_out AS w
        ON w.contact_key = s.contact_key AND (w.bit = 0 OR (w.bit & s.categories) <> 0)
    WHERE w.occurred_at < s.sent_at
      AND (w.lifted_at IS NULL OR w.lifted_at >= s.sent_at)
      AND (coalesce(w.received_at, w.occurred_at) < s.sent_at OR w.strict_late_from <= s.sent_at)
),
worst AS (
    SELECT
        event_key, min(strict_late_from) AS strict_late_from, min(legal_late_from) AS legal_late_from,
        min(strict_deadline) AS strict_deadline, min(legal_deadline) AS legal_deadline
    FROM covered
    GROUP BY event_key
)
SELECT
    c.event_key, c.system,
    CASE WHEN c.bit <> 0 THEN k.category ELSE m.category END AS category,
    c.contact_key, c.campaign_id, c.sent_at, c.sent_kind, c.is_bypass,
    c.occurred_at AS opted_out_at, c.time_kind AS opted_out_kind, c.out_system AS opted_out_in,
    c.bit = 0 AS is_global, c.jurisdiction,
    CASE WHEN c.sent_at >= w.legal_late_from THEN 'legal_breach'
         WHEN c.sent_at >= w.strict_late_from THEN 'breach' ELSE 'warning' END AS grade,
    c.sent_at >= w.strict_late_from AS beyond_strict,
    w.strict_deadline, w.legal_deadline
FROM covered AS c
JOIN worst AS w ON w.event_key = c.event_key
LEFT JOIN clk_category AS k ON k.bit = c.bit
LEFT JOIN clk_category AS m ON m.bit = c.categories
WHERE c.place = 1;

-- What was found before keeps the night that found it; what better evidence explains away goes.
CREATE OR REPLACE TEMP TABLE clk_found AS
SELECT event_key, min(found_night) AS found_night
FROM audit.violation
WHERE found_night < $night
GROUP BY event_key;

DELETE FROM audit.violation;

INSERT INTO audit.violation BY NAME
SELECT v.*, coalesce(f.found_night, $night) AS found_night
FROM clk_violation AS v
LEFT JOIN clk_found AS f ON f.event_key = v.event_key;
