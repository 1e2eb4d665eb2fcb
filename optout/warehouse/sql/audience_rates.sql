-- Opt-outs as people made them, day by day, beside what was delivered; the last days again, because
-- some vendors tell late.
CREATE OR REPLACE TEMP TABLE clk_day AS
SELECT
    night, cutoff_at AS until,
    coalesce(lag(cutoff_at) OVER (ORDER BY night), cutoff_at - INTERVAL 1 DAY) AS since
FROM core.night
WHERE night <= $night;

DELETE FROM mart.opt_out_rate
WHERE night IN (SELECT night FROM clk_day WHERE night > $night - 7 OR night = $night);

INSERT INTO mart.opt_out_rate
WITH day AS (
    SELECT * FROM clk_day WHERE night > $night - 7 OR night = $night
),
acts AS (
    SELECT d.night, o.system, o.category, o.campaign_id, o.source, count(*) AS opt_outs
    FROM audit.opt_out AS o
    JOIN day AS d ON o.occurred_at > d.since AND o.occurred_at <= d.until
    GROUP BY d.night, o.system, o.category, o.campaign_id, o.source
),
mail AS (
    SELECT
        d.night, m.system, m.categories, m.campaign_id,
        count(*) FILTER (m.kind = 'delivered') AS delivered,
        count(*) FILTER (m.kind = 'sent') - count(*) FILTER (m.kind = 'bounced') AS accepted
    FROM core.mail_event AS m
    JOIN day AS d ON m.occurred_at > d.since AND m.occurred_at <= d.until
    WHERE m.kind IN ('sent', 'delivered', 'bounced') AND NOT m.transactional
      AND m.occurred_at > (SELECT min(since) FROM day)
    GROUP BY d.night, m.system, m.categories, m.campaign_id
)
SELECT night, system, category, campaign_id, source, opt_outs, 0 FROM acts
UNION ALL
SELECT
    m.night, m.system, k.category, m.campaign_id, NULL, 0,
    CAST(sum(CASE WHEN m.delivered > 0 THEN m.delivered ELSE m.accepted END) AS BIGINT)
FROM mail AS m
LEFT JOIN clk_category AS k ON k.bit = m.categories
GROUP BY m.night, m.system, k.category, m.campaign_id;

-- People who change their mind strikingly often: each act once, however many feeds tell of it and
-- however many categories it covers.
DELETE FROM audit.frequent_changer;

INSERT INTO audit.frequent_changer
WITH act AS (
    SELECT DISTINCT contact_key, occurred_at
    FROM core.change
    WHERE is_explicit AND time_kind = 'source' AND occurred_at <= $cutoff
      AND occurred_at > $cutoff - to_days($frequent_days)
)
SELECT contact_key, CAST(count(*) AS INTEGER), min(occurred_at), max(occurred_at)
FROM act
GROUP BY contact_key
HAVING count(*) >= $frequent_changes;
