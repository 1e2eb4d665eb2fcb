-- Per series of tonight: the mailbox domain with most opt-outs within $soon of a delivery to the
-- person, by the systems' own times. After spike_counts.
CREATE OR REPLACE TEMP TABLE spk_soon AS
SELECT
    a.opt_out_id,
    bool_or(m.occurred_at >= a.occurred_at - $soon AND m.occurred_at <= a.occurred_at) AS is_soon
FROM spk_act AS a
JOIN core.mail_event AS m
    ON m.system = a.system AND m.contact_key = a.contact_key
   AND m.kind IN ('sent', 'delivered') AND m.time_kind = 'source' AND NOT m.transactional
   AND m.occurred_at >= a.occurred_at - INTERVAL 1 DAY AND m.occurred_at <= a.occurred_at
WHERE a.night = $night AND a.time_kind = 'source'
  AND m.occurred_at > (SELECT min(after_at) FROM spk_night) - INTERVAL 1 DAY
GROUP BY a.opt_out_id;

WITH act AS (
    SELECT
        a.*, coalesce(d.true_domain, 'other') AS true_domain, d.domain,
        coalesce(s.is_soon, false) AS is_soon
    FROM spk_act AS a
    LEFT JOIN spk_domain AS d ON d.contact_key = a.contact_key
    LEFT JOIN spk_soon AS s ON s.opt_out_id = a.opt_out_id
    WHERE a.night = $night
),
keyed AS (
    SELECT 'system' AS dimension, system, system AS key, true_domain, domain, is_soon, contact_key FROM act
    UNION ALL
    SELECT 'source', system, source, true_domain, domain, is_soon, contact_key FROM act
    UNION ALL
    SELECT 'domain', system, coalesce(domain, 'other'), true_domain, domain, is_soon, contact_key FROM act
    UNION ALL
    SELECT 'campaign', system, campaign_id, true_domain, domain, is_soon, contact_key FROM act
    WHERE campaign_id IS NOT NULL
    UNION ALL
    SELECT 'category', a.system, k.category, true_domain, domain, is_soon, contact_key
    FROM act AS a
    JOIN spk_category AS k ON (k.bit & a.categories) <> 0
),
counted AS (
    SELECT
        dimension, system, key, true_domain, any_value(domain) AS domain,
        count(DISTINCT contact_key) FILTER (is_soon) AS soon, count(DISTINCT contact_key) AS everyone
    FROM keyed
    GROUP BY dimension, system, key, true_domain
)
SELECT dimension, system, key, nullif(domain, 'other') AS domain, soon, everyone
FROM counted
QUALIFY row_number() OVER (
    PARTITION BY dimension, system, key ORDER BY soon DESC, everyone DESC, true_domain
) = 1;
