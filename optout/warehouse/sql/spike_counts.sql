-- Counts opt-outs and deliveries of the nights from $from_night on, by series. Each act counts once
-- (audit.opt_out holds no copies), each person once a series and night; an act that is known only
-- within a span of more than two nights belongs to none.
CREATE OR REPLACE TEMP TABLE spk_night AS
SELECT night, cutoff_at, after_at
FROM (
    SELECT
        night, cutoff_at,
        coalesce(lag(cutoff_at) OVER (ORDER BY night), cutoff_at - INTERVAL 1 DAY) AS after_at
    FROM core.night
    WHERE night <= $night
)
WHERE night >= $from_night;

CREATE OR REPLACE TEMP TABLE spk_domain AS
WITH person AS (
    SELECT contact_key, max(lower(split_part(address, '@', -1))) AS domain
    FROM core.identity
    GROUP BY contact_key
),
named AS (
    SELECT domain FROM person GROUP BY domain HAVING count(*) >= $named_from
)
SELECT p.contact_key, p.domain AS true_domain, coalesce(n.domain, 'other') AS domain
FROM person AS p
LEFT JOIN named AS n ON n.domain = p.domain;

-- Some vendors tell each delivery, others what was sent and what bounced.
CREATE OR REPLACE TEMP TABLE spk_tells AS
SELECT system, bool_or(kind = 'delivered') AS tells_deliveries
FROM core.mail_event
WHERE night > $from_night - 60
GROUP BY system;

CREATE OR REPLACE TEMP TABLE spk_mail AS
SELECT
    n.night, m.system, m.campaign_id, m.contact_key,
    CASE WHEN m.categories <> 0 THEN m.categories ELSE coalesce(c.categories, 0) END AS categories,
    CASE WHEN t.tells_deliveries THEN CASE WHEN m.kind = 'delivered' THEN 1 ELSE 0 END
         WHEN m.kind = 'sent' THEN 1
         ELSE -1 END AS messages
FROM core.mail_event AS m
JOIN spk_night AS n ON m.occurred_at > n.after_at AND m.occurred_at <= n.cutoff_at
JOIN spk_tells AS t ON t.system = m.system
LEFT JOIN core.campaign AS c ON c.system = m.system AND c.campaign_id = m.campaign_id
WHERE m.kind IN ('sent', 'delivered', 'bounced', 'dropped') AND NOT m.transactional
  AND m.occurred_at > (SELECT min(after_at) FROM spk_night);

-- Beside what is said to the hub stands the mail of all systems.
INSERT INTO spk_mail
SELECT night, $hub, NULL, contact_key, categories, messages
FROM spk_mail
WHERE system <> $hub;

CREATE OR REPLACE TEMP TABLE spk_act AS
SELECT
    n.night, a.opt_out_id, a.system, a.contact_key, a.source, a.campaign_id, a.occurred_at, a.time_kind,
    CASE WHEN a.category IS NOT NULL THEN coalesce(k.bit, 0)
         WHEN coalesce(c.categories, 0) <> 0 THEN c.categories
         ELSE coalesce(s.mask, 0) END AS categories
FROM audit.opt_out AS a
JOIN spk_night AS n ON a.occurred_at > n.after_at AND a.occurred_at <= n.cutoff_at
LEFT JOIN spk_category AS k ON k.category = a.category
LEFT JOIN spk_system AS s ON s.system = a.system
LEFT JOIN core.campaign AS c ON c.system = a.system AND c.campaign_id = a.campaign_id
WHERE a.time_kind = 'source' OR a.occurred_from >= a.occurred_at - INTERVAL 2 DAY;

CREATE OR REPLACE TEMP TABLE spk_out AS
WITH keyed AS (
    SELECT night, 'system' AS dimension, system, system AS key, contact_key FROM spk_act
    UNION ALL
    SELECT night, 'source', system, source, contact_key FROM spk_act
    UNION ALL
    SELECT a.night, 'category', a.system, k.category, a.contact_key
    FROM spk_act AS a
    JOIN spk_category AS k ON (k.bit & a.categories) <> 0
    UNION ALL
    SELECT a.night, 'domain', a.system, coalesce(d.domain, 'other'), a.contact_key
    FROM spk_act AS a
    LEFT JOIN spk_domain AS d ON d.contact_key = a.contact_key
    UNION ALL
    SELECT night, 'campaign', system, campaign_id, contact_key FROM spk_act
    WHERE campaign_id IS NOT NULL
)
SELECT night, dimension, system, key, count(DISTINCT contact_key) AS opt_outs
FROM keyed
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE spk_sent AS
WITH keyed AS (
    SELECT night, 'system' AS dimension, system, system AS key, messages FROM spk_mail
    UNION ALL
    SELECT m.night, 'category', m.system, k.category, m.messages
    FROM spk_mail AS m
    JOIN spk_category AS k ON (k.bit & m.categories) <> 0
    UNION ALL
    SELECT m.night, 'domain', m.system, coalesce(d.domain, 'other'), m.messages
    FROM spk_mail AS m
    LEFT JOIN spk_domain AS d ON d.contact_key = m.contact_key
    UNION ALL
    SELECT night, 'campaign', system, campaign_id, messages FROM spk_mail
    WHERE campaign_id IS NOT NULL
)
SELECT night, dimension, system, key, greatest(sum(messages), 0) AS deliveries
FROM keyed
GROUP BY ALL;

-- A source of opt-outs is offered by every message of its system.
INSERT INTO spk_sent
SELECT m.night, 'source', m.system, s.source, m.deliveries
FROM spk_sent AS m
JOIN (
    SELECT system, key AS source FROM mart.opt_out_series WHERE dimension = 'source'
    UNION
    SELECT system, key FROM spk_out WHERE dimension = 'source'
) AS s ON s.system = m.system
WHERE m.dimension = 'system';

DELETE FROM mart.opt_out_series WHERE night BETWEEN $from_night AND $night;

INSERT INTO mart.opt_out_series BY NAME
SELECT
    night, dimension, system, key,
    coalesce(o.opt_outs, 0) AS opt_outs, coalesce(m.deliveries, 0)::BIGINT AS deliveries
FROM spk_out AS o
FULL JOIN spk_sent AS m USING (night, dimension, system, key)
WHERE coalesce(o.opt_outs, 0) > 0 OR coalesce(m.deliveries, 0) > 0;
