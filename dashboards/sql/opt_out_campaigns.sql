-- The campaigns with the most opt-outs of the last nights, with their limit and what was said of them.
SELECT r.system, r.campaign_id, c.name AS campaign, c.sent_at, r.opt_outs, r.deliveries,
       r.opt_outs / nullif(r.deliveries, 0) AS rate, s.limit_rate, coalesce(s.kind, 'not_judged') AS kind
FROM (
    SELECT system, campaign_id, sum(opt_outs) AS opt_outs, sum(deliveries) AS deliveries
    FROM mart.opt_out_rate
    WHERE night BETWEEN $first AND $night AND campaign_id IS NOT NULL
    GROUP BY system, campaign_id
) AS r
LEFT JOIN core.campaign AS c ON c.system = r.system AND c.campaign_id = r.campaign_id
LEFT JOIN (
    SELECT system, key, max(threshold / nullif(deliveries, 0)) AS limit_rate,
           arg_max(kind, (kind NOT IN ('normal', 'too_little_to_tell'), night)) AS kind
    FROM audit.spike
    WHERE night BETWEEN $first AND $night AND dimension = 'campaign'
    GROUP BY system, key
) AS s ON s.system = r.system AND s.key = r.campaign_id
WHERE r.opt_outs > 0
ORDER BY r.opt_outs DESC, r.system, r.campaign_id
