-- optout.rules.consent for everyone at once. clk_consent_place says which regime judges a country,
-- clk_consent_rule what a basis is worth there. Only records that the hub still has count.
CREATE OR REPLACE TEMP TABLE clk_consent_record AS
SELECT
    c.contact_key, coalesce(k.country, '') AS country,
    nullif(lower(trim(c.basis)), '') AS basis,
    c.basis_date,
    nullif(trim(c.basis_ref), '') AS basis_ref,
    nullif(lower(trim(c.method)), '') AS method
FROM core.consent AS c
JOIN (
    SELECT DISTINCT store, record_id, contact_key FROM core.observation
    WHERE system = $hub AND night_to IS NULL AND present
) AS o ON o.store = c.store AND o.record_id = c.record_id AND o.contact_key = c.contact_key
LEFT JOIN clk_country AS k ON k.told = c.country
WHERE c.system = $hub;

-- Where each person lives: known countries, else one row of the unknown.
CREATE OR REPLACE TEMP TABLE clk_consent_person AS
WITH place AS (
    SELECT DISTINCT contact_key, country FROM clk_consent_record
),
abroad AS (
    SELECT contact_key, max(country) AS any_country FROM place GROUP BY contact_key
)
SELECT p.contact_key, p.country, r.regime, r.today, r.zone
FROM place AS p
JOIN abroad AS a ON a.contact_key = p.contact_key
JOIN clk_consent_place AS r ON r.country = p.country
WHERE p.country <> '' OR a.any_country = '';

-- What each record proves in each regime; NULL expiry: it does not end by time.
CREATE OR REPLACE TEMP TABLE clk_consent_worth AS
SELECT
    p.contact_key, p.country, p.regime, p.today, p.zone, r.basis AS told_basis,
    CASE WHEN u.basis IS NOT NULL
              AND r.basis_ref IS NOT NULL
              AND (u.method IS NULL OR u.method = r.method)
              AND CASE WHEN r.basis_date IS NULL THEN u.is_open_ended
                       ELSE u.is_open_ended OR r.basis_date <= p.today END
         THEN r.basis END AS basis,
    CASE WHEN r.basis_date IS NULL OR u.months IS NULL THEN DATE '9999-12-31'
         ELSE CAST(r.basis_date + to_months(u.months) AS DATE) END AS expires_on
FROM clk_consent_person AS p
JOIN clk_consent_record AS r ON r.contact_key = p.contact_key
LEFT JOIN clk_consent_rule AS u ON u.regime = p.regime AND u.basis = r.basis;

-- The best record of a person in each regime; of several regimes the one that allows least.
CREATE OR REPLACE TEMP TABLE clk_consent AS
WITH best AS (
    SELECT
        contact_key, country, regime, today, zone,
        max({'expires_on': expires_on, 'basis': basis}) FILTER (basis IS NOT NULL) AS found,
        max(told_basis) AS told_basis
    FROM clk_consent_worth
    GROUP BY contact_key, country, regime, today, zone
),
judged AS (
    SELECT
        contact_key, country, regime, today, zone,
        coalesce(found.basis, told_basis) AS basis,
        CASE WHEN found.expires_on < DATE '9999-12-31' THEN found.expires_on END AS expires_on,
        found IS NOT NULL AS is_proven
    FROM best
),
dated AS (
    SELECT
        *,
        CAST(expires_on - 1 AS DATE) AS last_safe_day,
        CAST(expires_on - 1 - today AS INTEGER) AS days_left
    FROM judged
),
graded AS (
    SELECT
        *,
        CASE WHEN NOT is_proven THEN 'not_proven'
             WHEN days_left IS NULL THEN 'ok'
             WHEN days_left < 0 THEN 'expired'
             WHEN days_left <= 7 THEN 'within_7'
             WHEN days_left <= 30 THEN 'within_30'
             WHEN days_left <= 60 THEN 'within_60'
             ELSE 'ok' END AS status
    FROM dated
)
SELECT
    g.*,
    string_agg(g.country, '+' ORDER BY g.country) FILTER (g.country <> '')
        OVER (PARTITION BY g.contact_key
              ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS countries,
    row_number() OVER (
        PARTITION BY g.contact_key
        ORDER BY CASE g.status WHEN 'not_proven' THEN 0 WHEN 'expired' THEN 1 ELSE 2 END,
                 g.expires_on NULLS LAST, g.regime, g.country
    ) AS place
FROM graded AS g;

DELETE FROM audit.consent;

INSERT INTO audit.consent
SELECT
    c.contact_key, c.status, c.basis, c.expires_on, c.last_safe_day, c.days_left,
    coalesce(c.countries, 'unknown') AS jurisdiction, c.regime, coalesce(o.opted_out, 0), $night
FROM clk_consent AS c
LEFT JOIN (
    SELECT e.contact_key, bit_or(k.bit) AS opted_out
    FROM audit.expected AS e
    JOIN clk_category AS k ON k.category = e.category
    WHERE e.state = 'opted_out'
    GROUP BY e.contact_key
) AS o ON o.contact_key = c.contact_key
WHERE c.place = 1;

-- The coming year, week by week: whose last safe day it holds, those who left everything aside.
DELETE FROM audit.consent_forecast;

INSERT INTO audit.consent_forecast
SELECT
    $night + 7 * (c.days_left // 7) AS week_from, c.basis, c.jurisdiction, count(*) AS people
FROM audit.consent AS c
WHERE c.days_left BETWEEN 0 AND 363 AND c.opted_out <> $all
GROUP BY c.days_left // 7, c.basis, c.jurisdiction;
