-- The rows of optout.testing.published. `r(x)` draws a number in [0, 1) from a text.
CREATE OR REPLACE TEMP MACRO r(place) AS (hash(place) % 1000003) / 1000003.0;

-- Two nights were never run; one was only backfilled.
INSERT INTO core.night
SELECT d, d + INTERVAL 2 HOUR, CASE WHEN n = 40 THEN 'backfill' ELSE 'run' END, NULL, d + INTERVAL 3 HOUR
FROM (
    SELECT CAST(range AS DATE) AS d, date_diff('day', CAST(range AS DATE), $last) AS n
    FROM range(CAST($first AS TIMESTAMP), CAST($last AS TIMESTAMP) + INTERVAL 1 DAY, INTERVAL 1 DAY)
) AS days
WHERE n NOT IN (12, 13);

CREATE OR REPLACE TEMP TABLE system AS
SELECT $hub AS system, true AS is_hub, 0 AS place
UNION ALL
SELECT unnest($esps), false, unnest(range(1, len($esps) + 1));

CREATE OR REPLACE TEMP TABLE stream AS
SELECT system, unnest(['contacts', 'events', 'campaigns']) AS stream FROM system;

-- Incomplete: the second ESP on four nights, the hub on one, tonight if asked for.
CREATE OR REPLACE TEMP TABLE hole AS
SELECT n.night, s.system
FROM core.night AS n
CROSS JOIN system AS s
WHERE (s.place = 2 AND date_diff('day', n.night, $last) IN (3, 4, 27, 60))
   OR (s.is_hub AND date_diff('day', n.night, $last) = 20)
   OR (s.place = 1 AND $is_incomplete AND n.night = $last);

INSERT INTO core.source_read (
    system, stream, night, manifest_hash, is_complete, is_full, is_snapshot, is_skipped, why_not, read_at,
    finished_at, vendor_total, read_total, row_count, finding_count, requests, retries, rate_limited,
    waited_seconds, latency_seconds, failed_requests, revision, note
)
SELECT t.system, t.stream, n.night, md5(t.system || t.stream || n.night),
       NOT (h.system IS NOT NULL AND t.stream = 'contacts'), true, t.stream = 'contacts', false,
       CASE WHEN h.system IS NOT NULL AND t.stream = 'contacts'
            THEN 'page 41 of 97: the server answered 503 five times' END,
       n.cutoff_at + INTERVAL 1 MINUTE,
       n.cutoff_at + INTERVAL 1 MINUTE + to_milliseconds(CAST(60000 * (1 + r(t.system || n.night)) AS BIGINT)),
       10000, 10000, 10000, CAST(9 * r(t.stream || n.night) AS BIGINT), 120 + CAST(40 * r(t.system || n.night || 'q') AS BIGINT),
       CAST(5 * r(t.system || n.night || 'y') AS BIGINT), CAST(2 * r(t.system || n.night || 'l') AS BIGINT),
       6 * r(t.system || n.night || 'w'), 30 + 9 * r(n.night || t.stream), 0,
       CASE WHEN t.system = $hub THEN 'v2' WHEN date_diff('day', n.night, $last) > 30 THEN '2026-04-15' ELSE '2026-07-15' END,
       NULL
FROM stream AS t
CROSS JOIN core.night AS n
LEFT JOIN hole AS h ON h.night = n.night AND h.system = t.system
WHERE n.kind = 'run';

INSERT INTO core.finding
SELECT $last, system, 'contacts', 'unclear_value', 'main', md5(system || n), md5('p' || n)::UUID, 'status',
       'a value that nobody knows', 1
FROM system CROSS JOIN range(4) AS t(n)
WHERE place < 3;

INSERT INTO core.campaign (
    system, campaign_id, night, name, subject, sent_at, categories, transactional, sent_count, delivered_count,
    opt_out_count, complaint_count
)
SELECT system, 'c' || n, $last, 'Autumn news ' || n, 'subject', CAST($last AS TIMESTAMP) - to_days(CAST(n AS INTEGER)), 1,
       false, 9000, 8900, 20, 1
FROM system CROSS JOIN range(6) AS t(n)
WHERE NOT is_hub;

-- Drift: opened at any time, most of it closed again.
INSERT INTO audit.drift
SELECT class, system, category, key, expected, actual, reason, store, decided_system, decided_at, 'email_link',
       opened, opened + INTERVAL 2 HOUR, coalesce(closed - 1, $last), NULL, closed, closed + INTERVAL 2 HOUR
FROM (
    SELECT *, CASE WHEN r(n || 'c') < 0.86 AND opened + life <= $last THEN opened + life END AS closed
    FROM (
        SELECT n, md5('person' || n)::UUID AS key,
               $esps[1 + CAST(floor(len($esps) * r(n || 's')) AS INTEGER)] AS system,
               $categories[1 + CAST(floor(len($categories) * r(n || 'k')) AS INTEGER)] AS category,
               CASE WHEN r(n || 'd') < 0.4 THEN 'unhonoured_opt_out' WHEN r(n || 'd') < 0.6 THEN 'lost_opt_out'
                    WHEN r(n || 'd') < 0.72 THEN 'orphan_mailable' WHEN r(n || 'd') < 0.9 THEN 'over_suppressed'
                    WHEN r(n || 'd') < 0.96 THEN 'not_comparable' ELSE 'conflicting_duplicates' END AS class,
               'opted_out' AS expected, 'mailable' AS actual, 'opt_out_stands' AS reason,
               'list:' || CAST(floor(5 * r(n || 'l')) AS INTEGER) AS store, $hub AS decided_system,
               $first + CAST(floor(date_diff('day', $first, $last) * r(n || 'o')) AS INTEGER) AS opened,
               1 + CAST(floor(12 * r(n || 'f') * r(n || 'f')) AS INTEGER) AS life,
               CAST($first AS TIMESTAMP) + to_hours(CAST(floor(24 * 80 * r(n || 'h')) AS INTEGER)) AS decided_at
        FROM range($drift) AS t(n)
    ) AS drawn
) AS closing;

-- Metrics: numerators and denominators of each cell, then per system and over all.
CREATE OR REPLACE TEMP TABLE share AS
SELECT n.night, metric, target, floor, ceiling, s.system, c.category,
       CAST(2000 + 800 * r(s.system || c.category) AS BIGINT) AS denominator,
       CASE WHEN r(n.night || s.system || c.category || metric) < miss
            THEN CAST(1 + 6 * r(n.night || s.system || metric) AS BIGINT) ELSE 0 END AS wrong,
       h.system IS NOT NULL OR n.kind = 'backfill'
           OR EXISTS (SELECT 1 FROM hole AS b WHERE b.night = n.night AND b.system = $hub) AS is_unknown,
       EXISTS (SELECT 1 FROM hole AS b WHERE b.night = n.night) OR n.kind = 'backfill' AS has_doubt
FROM core.night AS n
CROSS JOIN (SELECT * FROM system WHERE NOT is_hub) AS s
CROSS JOIN (SELECT unnest($categories) AS category) AS c
CROSS JOIN (VALUES ('opt_out_recall', '= 100 %', 1.0, 1.0, 0.04), ('sync_accuracy', '>= 99.9 %', 0.999, 1.0, 0.5),
                   ('over_suppression', '<= 0.1 %', 0.0, 0.001, 0.1)) AS m(metric, target, floor, ceiling, miss)
LEFT JOIN hole AS h ON h.night = n.night AND h.system = s.system;

INSERT INTO mart.metric_daily
SELECT night, metric, system, category,
       CASE WHEN unknown OR (is_met AND doubt) THEN NULL ELSE numerator / denominator END,
       CASE WHEN unknown THEN NULL ELSE numerator END, CASE WHEN unknown THEN NULL ELSE denominator END, 0, target,
       CASE WHEN unknown OR (is_met AND doubt) THEN 'unknown' WHEN is_met THEN 'met' ELSE 'missed' END,
       CASE WHEN metric = 'sync_accuracy' AND NOT unknown AND NOT (is_met AND doubt)
            THEN greatest(0, numerator / denominator - 0.0009) END,
       CASE WHEN metric = 'sync_accuracy' AND NOT unknown AND NOT (is_met AND doubt)
            THEN least(1, numerator / denominator + 0.0007) END,
       CASE WHEN unknown THEN 'a source was not read completely' WHEN doubt THEN 'not read completely: another ESP' END
FROM (
    SELECT *, numerator / denominator BETWEEN floor AND ceiling AS is_met
    FROM (
        SELECT night, metric, target, floor, ceiling, system, category, sum(denominator) AS denominator,
               sum(CASE WHEN metric = 'over_suppression' THEN wrong ELSE denominator - wrong END) AS numerator,
               bool_and(is_unknown) AS unknown, bool_or(has_doubt) AS doubt
        FROM share
        GROUP BY GROUPING SETS ((night, metric, target, floor, ceiling, system, category),
                                (night, metric, target, floor, ceiling, system),
                                (night, metric, target, floor, ceiling))
    ) AS sums
) AS judged;

-- Counts of drift, from the drift itself; unknown where a source was not complete.
INSERT INTO mart.metric_daily
SELECT n.night, m.metric, s.system, s.category,
       CASE WHEN u.night IS NULL THEN coalesce(d.cells, 0) END, CASE WHEN u.night IS NULL THEN coalesce(d.cells, 0) END,
       NULL, 0, NULL, CASE WHEN u.night IS NULL THEN 'shown' ELSE 'unknown' END, NULL, NULL,
       CASE WHEN u.night IS NOT NULL THEN 'a source was not read completely' END
FROM core.night AS n
CROSS JOIN (SELECT unnest(['unhonoured_opt_out', 'lost_opt_out', 'orphan_mailable', 'over_suppressed', 'not_comparable',
                           'missing_here', 'conflicting_duplicates', 'opt_out_neither', 'drift_open']) AS metric) AS m
CROSS JOIN (SELECT system, NULL AS category FROM system UNION ALL SELECT NULL, NULL
            UNION ALL SELECT system, unnest($categories) FROM system WHERE NOT is_hub) AS s
LEFT JOIN (SELECT DISTINCT night FROM hole UNION SELECT night FROM core.night WHERE kind = 'backfill') AS u
    ON u.night = n.night
LEFT JOIN (
    SELECT b.night, d.class AS metric, d.system, d.category, count(*) AS cells
    FROM core.night AS b
    JOIN audit.drift AS d ON d.opened_night <= b.night AND (d.closed_night IS NULL OR d.closed_night > b.night)
    GROUP BY GROUPING SETS ((b.night, d.class, d.system, d.category), (b.night, d.class, d.system), (b.night, d.class))
) AS d ON d.night = n.night AND d.metric = m.metric AND d.system IS NOT DISTINCT FROM s.system
      AND d.category IS NOT DISTINCT FROM s.category;

UPDATE mart.metric_daily AS m SET value = t.total, numerator = t.total
FROM (
    SELECT night, system, category, sum(value) AS total
    FROM mart.metric_daily
    WHERE metric IN ('unhonoured_opt_out', 'lost_opt_out', 'orphan_mailable', 'over_suppressed') AND status = 'shown'
    GROUP BY night, system, category
) AS t
WHERE m.metric = 'drift_open' AND m.status = 'shown' AND m.night = t.night
  AND m.system IS NOT DISTINCT FROM t.system AND m.category IS NOT DISTINCT FROM t.category;

INSERT INTO mart.metric_daily
SELECT n.night, 'extraction_complete', s.system, NULL,
       CASE WHEN n.kind = 'run' THEN done / wanted END, CASE WHEN n.kind = 'run' THEN done END,
       CASE WHEN n.kind = 'run' THEN wanted END, 0, '= 100 %',
       CASE WHEN n.kind <> 'run' THEN 'unknown' WHEN done = wanted THEN 'met' ELSE 'missed' END, NULL, NULL, NULL
FROM core.night AS n
LEFT JOIN (
    SELECT night, system, count(*) FILTER (is_complete) AS done, count(*) AS wanted
    FROM core.source_read
    GROUP BY GROUPING SETS ((night, system), (night))
) AS s ON s.night = n.night;

-- The figures about time, mail, consent and trail: a value a night, a part of them per system.
CREATE OR REPLACE TEMP TABLE shown AS
SELECT * FROM (VALUES
    ('opt_out_processing_p50', NULL, 5.5, NULL, 1.0, false), ('opt_out_processing_p95', '< 24 h', 21.0, 24.0, 5.0, true),
    ('opt_out_processing_max', '<= 48 h', 41.0, 48.0, 12.0, true), ('violations', '= 0', 0.0, 0.5, 0.6, true),
    ('violations_beyond_deadline', '= 0', 0.0, 0.5, 0.52, true), ('sends_without_consent', '= 0', 0.0, 0.5, 0.55, true),
    ('overdue_opt_outs', '= 0', 0.0, 0.5, 0.55, true), ('campaign_faults', '= 0', 0.0, 0.5, 0.7, true),
    ('open_opt_outs', NULL, 20.0, NULL, 9.0, true), ('global_opt_outs', NULL, 812.0, NULL, 20.0, false),
    ('consent_ending_7', NULL, 11.0, NULL, 4.0, false), ('consent_ending_30', NULL, 48.0, NULL, 9.0, false),
    ('consent_ending_60', NULL, 97.0, NULL, 12.0, false), ('consent_expired', NULL, 23.0, NULL, 4.0, false),
    ('consent_not_proven', NULL, 64.0, NULL, 6.0, false), ('frequent_changers', NULL, 6.0, NULL, 3.0, false)
) AS t(metric, target, base, goal, spread, is_per_system);

INSERT INTO mart.metric_daily
SELECT night, metric, system, NULL, CASE WHEN u THEN NULL ELSE v END, CASE WHEN u THEN NULL ELSE parts END,
       CASE WHEN metric LIKE 'opt_out_processing%' AND NOT u THEN 400 END, 0, target,
       CASE WHEN u THEN 'unknown' WHEN target IS NULL THEN 'shown'
            WHEN v < goal OR (metric NOT LIKE '%p95' AND v = goal) THEN 'met' ELSE 'missed' END,
       CASE WHEN metric LIKE 'opt_out_processing%' AND NOT u THEN v * 0.8 END,
       CASE WHEN metric LIKE 'opt_out_processing%' AND NOT u THEN v END,
       CASE WHEN u THEN 'a source was not read completely' END
FROM (
    SELECT n.night, t.metric, s.system, t.target, t.goal,
           CASE WHEN t.metric LIKE 'opt_out_processing%' THEN t.base + t.spread * (r(n.night || t.metric || coalesce(s.system, '')) - 0.5)
                ELSE floor(t.base + t.spread * r(n.night || t.metric || coalesce(s.system, '')) + 0.45) END AS v,
           CASE WHEN t.metric LIKE 'opt_out_processing%' THEN 371
                ELSE floor(t.base + t.spread * r(n.night || t.metric || coalesce(s.system, '')) + 0.45) END AS parts,
           n.kind = 'backfill' OR EXISTS (SELECT 1 FROM hole AS h WHERE h.night = n.night
                                          AND (s.system IS NULL OR h.system IN (s.system, $hub))) AS u
    FROM core.night AS n
    CROSS JOIN shown AS t
    CROSS JOIN (SELECT NULL AS system UNION ALL SELECT system FROM system WHERE NOT is_hub) AS s
    WHERE s.system IS NULL OR t.is_per_system
) AS drawn;

INSERT INTO mart.metric_daily
SELECT n.night, m.metric, s.system, NULL, CASE WHEN NOT u THEN top / bottom END, CASE WHEN NOT u THEN top END,
       CASE WHEN NOT u THEN bottom END, 0, m.target,
       CASE WHEN u THEN 'unknown' WHEN m.metric = 'complaint_rate' AND top * 1000 < bottom THEN 'met'
            WHEN m.metric = 'audit_trail_completeness' AND top = bottom THEN 'met' ELSE 'missed' END, NULL, NULL,
       CASE WHEN u THEN 'a source was not read completely' END
FROM core.night AS n
CROSS JOIN (SELECT NULL AS system UNION ALL SELECT system FROM system) AS s
CROSS JOIN (VALUES ('complaint_rate', '< 0.1 %'), ('audit_trail_completeness', '= 100 %')) AS m(metric, target)
CROSS JOIN LATERAL (
    SELECT n.kind = 'backfill' OR EXISTS (SELECT 1 FROM hole AS h WHERE h.night = n.night
                                          AND (s.system IS NULL OR h.system IN (s.system, $hub))) AS u,
           CASE WHEN m.metric = 'complaint_rate' THEN 60000 ELSE 3000 END AS bottom,
           CASE WHEN m.metric = 'complaint_rate' THEN 30 + floor(36 * r(n.night || coalesce(s.system, 'all')))
                ELSE 3000 - floor(1.2 * r(n.night || coalesce(s.system, 'all'))) * 3 END AS top
) AS d
WHERE m.metric <> 'complaint_rate' OR s.system IS DISTINCT FROM $hub;

INSERT INTO mart.metric_daily
SELECT night, 'trail_gaps', system, NULL, denominator - numerator, denominator - numerator, NULL, 0, NULL,
       CASE WHEN numerator IS NULL THEN 'unknown' ELSE 'shown' END, NULL, NULL, note
FROM mart.metric_daily WHERE metric = 'audit_trail_completeness';

INSERT INTO mart.category SELECT unnest($categories), unnest(list_transform(range(len($categories)), lambda i: CAST(2 ** i AS INTEGER)));

INSERT INTO mart.audience_daily
SELECT n.night, c.category, s.status, CAST(base * (1 + 0.05 * r(c.category || s.status)) + 3 * date_diff('day', $first, n.night) AS BIGINT)
FROM core.night AS n
CROSS JOIN mart.category AS c
CROSS JOIN (VALUES ('mailable', 61000), ('never_asked', 9000), ('unengaged', 14000), ('opted_out', 5200),
                   ('undeliverable', 1900)) AS s(status, base)
WHERE n.kind = 'run';

-- A few of those people: every category in one group, a group after the other.
INSERT INTO audit.audience
SELECT CAST(md5('person ' || CAST(n AS VARCHAR)) AS UUID),
       CAST((SELECT sum(bit) FROM mart.category) AS BIGINT) << CAST(12 * (n % 5) AS INTEGER)
FROM range(300) AS t(n);

INSERT INTO mart.preference_daily
SELECT n.night, c.category, s.state, base
FROM core.night AS n
CROSS JOIN mart.category AS c
CROSS JOIN (VALUES ('opted_in', 52000), ('not_set', 30000), ('opted_out', 5200), ('unclear', 40)) AS s(state, base)
WHERE n.kind = 'run';

INSERT INTO mart.opt_out_rate
SELECT n.night, s.system, c.category, NULL, 'email_link', CAST(6 * r(n.night || s.system || c.category) AS BIGINT), 0
FROM core.night AS n CROSS JOIN system AS s CROSS JOIN mart.category AS c
WHERE NOT s.is_hub;

INSERT INTO mart.opt_out_rate
SELECT n.night, s.system, c.category, 'c' || CAST(date_diff('day', n.night, $last) % 6 AS VARCHAR), NULL,
       0, 2000 + CAST(900 * r(n.night || s.system) AS BIGINT)
FROM core.night AS n CROSS JOIN system AS s CROSS JOIN mart.category AS c
WHERE NOT s.is_hub;

INSERT INTO mart.opt_out_rate
SELECT $last - CAST(n AS INTEGER), s.system, NULL, 'c' || n, unnest(['preference_center', 'support_request']), 4 + n, 0
FROM system AS s CROSS JOIN range(6) AS t(n) WHERE NOT s.is_hub;

INSERT INTO mart.opt_out_series
SELECT n.night, d.dimension, s.system, CASE WHEN d.dimension = 'system' THEN s.system ELSE d.key END,
       CAST((CASE WHEN s.place = 1 AND date_diff('day', n.night, $last) = 9 THEN 90 ELSE 16 END)
            + 9 * r(n.night || s.system || d.dimension) AS BIGINT), 9000 + CAST(900 * r(n.night || s.system) AS BIGINT)
FROM core.night AS n
CROSS JOIN (SELECT * FROM system WHERE NOT is_hub) AS s
CROSS JOIN (VALUES ('system', ''), ('category', 'promotional'), ('source', 'email_link')) AS d(dimension, key)
WHERE n.kind = 'run';

INSERT INTO audit.spike
SELECT night, CASE WHEN opt_outs > 60 THEN 'spike' ELSE 'normal' END, dimension, system, key, night, 1, opt_outs,
       deliveries, 20, opt_outs / deliveries, CASE WHEN opt_outs > 60 THEN 1e-12 ELSE 0.4 END, 1e-4, 41, opt_outs / 20.0, NULL
FROM mart.opt_out_series;

-- Opt-outs of the last month with their deadlines.
INSERT INTO audit.opt_out
SELECT md5('o' || n)::UUID, md5('person' || n)::UUID, $categories[1 + n % len($categories)], system, 'email_link', true,
       'c1', moment, moment, 'source', moment, false, 'US', 'country', CAST(moment AS DATE) + 14, moment + INTERVAL 14 DAY, 'can_spam.honour',
       CAST(moment AS DATE) + 15, moment + INTERVAL 15 DAY, 'can_spam.honour', NULL, moment + to_minutes(CAST(m * 0.8 AS INTEGER)),
       CASE WHEN NOT is_open THEN moment + to_minutes(CAST(m AS INTEGER)) END, n % 3 > 0, false, is_open,
       CASE WHEN is_open THEN $esps[1] END, CASE WHEN is_open THEN CAST(n % 12 AS INTEGER) - 2 END
FROM (
    SELECT n, s.system, CAST($last AS TIMESTAMP) - to_minutes(CAST(1440 * 29 * r(n || 'at') AS INTEGER)) AS moment,
           2100 * r(n || 'm') * r(n || 'm') AS m, n % 19 = 0 AS is_open
    FROM range(400) AS t(n)
    JOIN (SELECT * FROM system WHERE NOT is_hub) AS s ON s.place = 1 + n % len($esps)
) AS drawn;

INSERT INTO audit.violation
SELECT md5('v' || n)::UUID, $esps[1 + n % len($esps)], $categories[1], md5('person' || n)::UUID, 'c2',
       moment, 'source', false, moment - to_days(CAST(1 + n AS INTEGER)), 'source', $hub, false, 'US',
       CASE WHEN n % 9 = 8 THEN 'legal_breach' WHEN n % 5 = 4 THEN 'breach' ELSE 'warning' END, n % 5 = 4,
       CAST(moment AS DATE), CAST(moment AS DATE) + 1, CAST(moment AS DATE)
FROM (SELECT n, CAST($last AS TIMESTAMP) - to_hours(CAST(24 * 80 * r(n || 'v') AS INTEGER)) AS moment FROM range(26) AS t(n)) AS d;

INSERT INTO audit.consent
SELECT md5('person' || n)::UUID,
       CASE WHEN r(n || 'q') < 0.6 THEN 'ok' WHEN r(n || 'q') < 0.7 THEN 'within_60' WHEN r(n || 'q') < 0.78 THEN 'within_30'
            WHEN r(n || 'q') < 0.82 THEN 'within_7' WHEN r(n || 'q') < 0.9 THEN 'expired' ELSE 'not_proven' END,
       ['express', 'purchase', 'contract', 'inquiry'][1 + n % 4], $last + CAST(n % 60 AS INTEGER),
       $last + CAST(n % 60 AS INTEGER) - 1, CAST(n % 60 AS INTEGER) - 1, CASE WHEN n % 7 = 0 THEN 'unknown' ELSE 'CA' END,
       'casl', 0, $last
FROM range(600) AS t(n);

INSERT INTO audit.consent_forecast
SELECT $last + CAST(7 * w AS INTEGER), unnest(['purchase', 'inquiry']), 'CA', 3 + CAST(20 * r(w || 'f') AS BIGINT) FROM range(52) AS t(w);

INSERT INTO audit.unconsented_send
SELECT md5('u' || n)::UUID, $esps[1], $categories[1], md5('person' || n)::UUID, 'c3', CAST($last AS TIMESTAMP) - to_hours(CAST(30 * n AS INTEGER)),
       'source', 'expired', 'inquiry', $last - 40, 'CA', $last
FROM range(5) AS t(n);

INSERT INTO audit.campaign_fault
SELECT $esps[1], 'c1', unnest(['no_postal_address', 'no_list_unsubscribe']), CAST($last AS TIMESTAMP) - INTERVAL 1 DAY, $last;

INSERT INTO audit.frequent_changer
SELECT md5('person' || n)::UUID, 5 + CAST(n AS INTEGER), CAST($last AS TIMESTAMP) - INTERVAL 20 DAY, CAST($last AS TIMESTAMP) - INTERVAL 1 DAY FROM range(7) AS t(n);

INSERT INTO audit.trail_gap
SELECT md5('g' || n)::UUID, ['missing_required_field', 'change_without_entry', 'broken_chain', 'no_history'][1 + n % 4], $hub,
       $categories[1], md5('person' || n)::UUID, CAST($last AS TIMESTAMP) - to_hours(CAST(7 * n AS INTEGER)), $last - CAST(n % 20 AS INTEGER),
       'api', CASE WHEN n % 4 = 0 THEN 'ip' END, md5('g' || n)::UUID
FROM range(40) AS t(n);

INSERT INTO mart.trail_daily
SELECT $last, $hub, d, w, 300, 300 - g, g
FROM (VALUES ('source', 'api', 30), ('source', 'email_link', 0), ('field', 'promotional', 22), ('field', '*', 8),
             ('missing_field', 'ip', 10), ('kind', 'missing_required_field', 10), ('kind', 'change_without_entry', 10),
             ('kind', 'broken_chain', 10), ('kind', 'no_history', 10)) AS t(d, w, g);

INSERT INTO core.change (
    change_seq, change_id, night, system, feed, contact_key, category, new_state, occurred_at, occurred_from, time_kind,
    received_at, recorded_at, source, is_explicit, channel, missing
)
SELECT n, md5('ch' || n)::UUID, $last, s.system, 'event', md5('person' || n)::UUID, $categories[1 + n % len($categories)], 'opted_out',
       moment, moment, 'source', moment + to_minutes(CAST(n % 90 AS INTEGER)), CAST($last AS TIMESTAMP),
       ['email_link', 'preference_center', 'api', 'import', 'unknown'][1 + n % 5], n % 5 < 2, NULL, CASE WHEN n % 6 = 0 THEN 'ip' END
FROM (SELECT n, CAST($last AS TIMESTAMP) - to_hours(CAST(n % 2000 AS INTEGER)) AS moment FROM range(900) AS t(n)) AS d
JOIN system AS s ON s.place = n % 3;

INSERT INTO core.change_commitment
SELECT n, 'change', $last, n, NULL, NULL, 'c'::BLOB, from_hex(sha256('link' || n)) FROM range(1, 901) AS t(n)
