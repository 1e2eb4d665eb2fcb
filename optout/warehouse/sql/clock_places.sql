-- Where each of these people lives, as far as the hub's records tell: one row a country; clk_country
-- says what its words mean. Of records that disagree each known country counts, beside a known one no
-- unknown does.
CREATE OR REPLACE TEMP TABLE clk_place AS
WITH told AS (
    SELECT DISTINCT c.contact_key, coalesce(k.country, '') AS country
    FROM core.consent AS c
    LEFT JOIN clk_country AS k ON k.told = c.country
    WHERE c.contact_key IN (SELECT contact_key FROM clk_word)
),
person AS (
    SELECT DISTINCT contact_key FROM clk_word
),
known AS (
    SELECT contact_key, country FROM told WHERE country <> ''
)
SELECT contact_key, country FROM known
UNION ALL
SELECT contact_key, '' FROM person
WHERE contact_key NOT IN (SELECT contact_key FROM known);

CREATE OR REPLACE TEMP TABLE clk_jurisdiction AS
SELECT
    p.contact_key,
    CASE WHEN max(p.country) = '' THEN 'unknown'
         ELSE string_agg(p.country, '+' ORDER BY p.country) END AS jurisdiction,
    CASE WHEN max(p.country) = '' THEN 'unknown'
         WHEN count(*) > 1 THEN 'several'
         WHEN bool_or(p.country IN (SELECT country FROM clk_lawful)) THEN 'country'
         ELSE 'no_regime' END AS kind
FROM clk_place AS p
GROUP BY p.contact_key;

-- Which rules start to count on which local date, for whom: the few dates that need a deadline.
CREATE OR REPLACE TEMP TABLE clk_start AS
SELECT
    w.word_id, l.rule, l.country, l.is_strict, l.is_legal, l.hours,
    CASE WHEN l.start_event = 'received_at' THEN coalesce(w.received_at, w.occurred_at)
         ELSE w.occurred_at END AS started_at,
    l.start_event = 'received_at' AND w.received_at IS NULL AS is_guess,
    l.zone
FROM clk_stand AS w
JOIN clk_place AS p ON p.contact_key = w.contact_key
JOIN clk_limit AS l ON l.country = p.country
WHERE l.source IS NULL OR (l.source = w.source AND w.is_own);

-- Providers' rules bind for their own mailboxes.
INSERT INTO clk_start
SELECT
    w.word_id, m.rule, '', true, false, m.hours,
    CASE WHEN m.start_event = 'received_at' THEN coalesce(w.received_at, w.occurred_at)
         ELSE w.occurred_at END,
    m.start_event = 'received_at' AND w.received_at IS NULL,
    m.zone
FROM clk_stand AS w
JOIN core.identity AS i ON i.contact_key = w.contact_key
JOIN clk_mailbox AS m ON m.domain = split_part(i.address, '@', -1)
WHERE w.is_own AND (m.source IS NULL OR m.source = w.source);

CREATE OR REPLACE TEMP TABLE clk_date AS
SELECT DISTINCT
    rule, country, zone,
    CAST((started_at AT TIME ZONE 'UTC') AT TIME ZONE zone AS DATE) AS started_on
FROM clk_start
WHERE hours IS NULL;
