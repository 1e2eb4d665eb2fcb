-- Plain counts of the night: metric, system, category (NULL: over all), how many, and how many more could
-- not be judged.
SELECT 'violations', system, category, count(*), 0
FROM audit.violation WHERE found_night = $night
GROUP BY GROUPING SETS ((system, category), (system), ())
UNION ALL
SELECT 'violations_beyond_deadline', system, category, count(*), 0
FROM audit.violation WHERE found_night = $night AND beyond_strict
GROUP BY GROUPING SETS ((system, category), (system), ())
UNION ALL
SELECT 'sends_without_consent', system, category, count(*), 0
FROM audit.unconsented_send WHERE found_night = $night
GROUP BY GROUPING SETS ((system, category), (system), ())
UNION ALL
SELECT 'open_opt_outs', NULL, NULL, count(*), 0 FROM audit.opt_out WHERE is_open
UNION ALL
SELECT 'open_opt_outs', e.system, NULL, count(*), 0
FROM audit.opt_out_effect AS e WHERE e.is_mailing GROUP BY e.system
UNION ALL
SELECT 'overdue_opt_outs', NULL, NULL, count(*), 0
FROM audit.opt_out WHERE is_open AND strict_late_from <= $cutoff
UNION ALL
SELECT 'overdue_opt_outs', e.system, NULL, count(*), 0
FROM audit.opt_out_effect AS e
JOIN audit.opt_out AS o ON o.opt_out_id = e.opt_out_id
WHERE e.is_mailing AND o.strict_late_from <= $cutoff
GROUP BY e.system
UNION ALL
SELECT 'global_opt_outs', NULL, NULL, count(DISTINCT contact_key), 0
FROM audit.opt_out WHERE category IS NULL AND lifted_at IS NULL
UNION ALL
SELECT 'consent_ending_7', NULL, NULL, count(*) FILTER (days_left BETWEEN 0 AND 7), 0
FROM audit.consent WHERE opted_out <> $all
UNION ALL
SELECT 'consent_ending_30', NULL, NULL, count(*) FILTER (days_left BETWEEN 0 AND 30), 0
FROM audit.consent WHERE opted_out <> $all
UNION ALL
SELECT 'consent_ending_60', NULL, NULL, count(*) FILTER (days_left BETWEEN 0 AND 60), 0
FROM audit.consent WHERE opted_out <> $all
UNION ALL
SELECT 'consent_expired', NULL, NULL, count(*) FILTER (status = 'expired'), 0
FROM audit.consent WHERE opted_out <> $all
UNION ALL
SELECT 'consent_not_proven', NULL, NULL, count(*) FILTER (status = 'not_proven'), 0
FROM audit.consent WHERE opted_out <> $all
UNION ALL
SELECT 'frequent_changers', NULL, NULL, count(*), 0 FROM audit.frequent_changer
UNION ALL
SELECT 'sunset', NULL, NULL, count(*), 0 FROM audit.sunset
UNION ALL
SELECT
    'campaign_faults', c.system, NULL,
    count(DISTINCT c.campaign_id) FILTER (
        (c.system, c.campaign_id) IN (SELECT (f.system, f.campaign_id) FROM audit.campaign_fault AS f)
    ),
    count(*) FILTER (c.has_unsubscribe IS NULL OR c.has_postal_address IS NULL)
FROM core.campaign AS c
WHERE NOT c.transactional AND c.sent_at > $campaigns_since AND c.sent_at <= $cutoff
GROUP BY GROUPING SETS ((c.system), ());
