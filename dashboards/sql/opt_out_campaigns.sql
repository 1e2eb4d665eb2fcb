-- The campaigns with the most opt-outs of the last nights.
SELECT r.system, r.campaign_id, c.name AS campaign, c.sent_at, r.opt_outs, r.deliveries,
       r.opt_outs / nullif(r.deliveries, 0) AS rate
FROM (
    SELECT system, campaign_id, sum(opt_outs) AS opt_outs, sum(deliveries) AS deliveries
    FROM mart.opt_out_rate
    WHERE night BETWEEN $first AND $night AND campaign_id IS NOT NULL
    GROUP BY system, campaign_id
) AS r
LEFT JOIN core.campaign AS c ON c.system = r.system AND c.campaign_id = r.campaign_id
WHERE r.opt_outs > 0
ORDER BY r.opt_outs DESC, r.system, r.campaign_id
