-- One ESP of the world. A cell drifts with 0.5 %: an opt-out is mailed, or a block appears that no
-- act explains. 1 % of the people are missing, 5 % not subscribed, 10 % in a second audience.
CREATE OR REPLACE TEMP TABLE world_here AS
SELECT
    *,
    CASE WHEN weak <> 0 THEN xor(outs, flips) | weak ELSE xor(outs, flips) END AS shown_outs,
    CASE WHEN is_subscribed
         THEN 15 - (CASE WHEN weak <> 0 THEN xor(outs, flips) | weak ELSE xor(outs, flips) END)
         ELSE 0 END AS sends
FROM (
    SELECT
        p.*, d % 100 = 0 AS is_missing,
        CASE WHEN (d // 100) % 200 = 0 THEN 1 ELSE 0 END
            + CASE WHEN (d // 20000) % 200 = 0 THEN 2 ELSE 0 END
            + CASE WHEN (d // 4000000) % 200 = 0 THEN 4 ELSE 0 END
            + CASE WHEN (d // 800000000) % 200 = 0 THEN 8 ELSE 0 END AS flips,
        (d // 160000000000) % 10 = 0 AS has_second_store,
        (d // 1600000000000) % 1000 = 0 AS has_duplicate,
        CASE WHEN (d // 1600000000000000) % 500 = 0 THEN 1 ELSE 0 END AS withheld,
        (d % 1000037) % 20 <> 0 AS is_subscribed,
        (d % 1000003) % 50 = 0 AND is_known AND NOT is_twice AS is_fresh,
        CASE WHEN (d % 999983) % 5000 = 0 THEN 8 ELSE 0 END AS unclear,
        CASE WHEN is_undated AND $system = 'mailchimp' THEN 1 ELSE 0 END AS weak
    FROM (
        SELECT *, md5_number_lower($seed || '|' || $system || '|' || i) AS d FROM world_person
    ) AS p
) AS drawn;

INSERT INTO core.observation BY NAME
SELECT
    $system AS system, 'members' AS stream, store, 'r' || i || suffix AS record_id, contact_key,
    CASE WHEN suffix = '' THEN sends ELSE 15 END AS ins,
    CASE WHEN suffix = '' THEN shown_outs ELSE 0 END AS outs,
    CASE WHEN suffix = '' THEN shown_outs ELSE 0 END AS category_outs,
    CASE WHEN suffix = '' THEN weak ELSE 0 END AS weak_outs,
    CASE WHEN suffix = '' THEN sends ELSE 0 END AS sends, 0 AS blocks, withheld AS store_blocks,
    CASE WHEN suffix = '' THEN unclear ELSE 0 END AS unclear, 15 AS seen_in, false AS global_out,
    false AS undeliverable, false AS complained, true AS present, false AS in_explicit,
    false AS in_global,
    CASE WHEN is_fresh THEN $cutoff + INTERVAL 10 MINUTE ELSE acted_at END AS modified_at,
    CASE WHEN is_fresh THEN $cutoff + INTERVAL 1 HOUR ELSE $first_read END AS valid_from,
    CASE WHEN is_fresh THEN CAST($cutoff AS DATE) ELSE $first_night END AS night_from,
    night_to, night_to IS NOT NULL AS is_deleted
FROM (
    SELECT *, 'audience:1' AS store, '' AS suffix, CAST(NULL AS DATE) AS night_to
    FROM world_here WHERE NOT is_missing
    UNION ALL
    SELECT *, 'audience:2', '', NULL FROM world_here WHERE NOT is_missing AND has_second_store
    UNION ALL
    SELECT *, 'audience:1', '-twice', NULL FROM world_here WHERE NOT is_missing AND has_duplicate
    UNION ALL
    SELECT *, 'audience:1', '-old', $first_night FROM world_here WHERE i % 33 = 5
) AS record;

-- What has to be found here, by class and category. An undated opt-out is one everywhere, if the
-- system that holds it has the person (`world_undated`).
INSERT INTO bench.truth
SELECT class, $system, category, count(*)
FROM (
    SELECT
        k.category,
        CASE
            WHEN (h.unclear & k.bit) <> 0 THEN 'not_comparable'
            WHEN (h.mailable & k.bit) <> 0 AND (h.owed & k.bit) <> 0
                THEN CASE WHEN h.is_fresh THEN 'not_comparable' ELSE 'unhonoured_opt_out' END
            WHEN (h.mailable & k.bit) <> 0 AND NOT h.is_known THEN 'orphan_mailable'
            WHEN (h.held & k.bit) = 0 THEN NULL
            WHEN (h.lifted & k.bit) <> 0
                THEN CASE WHEN h.is_fresh THEN 'not_comparable' ELSE 'over_suppressed' END
            WHEN NOT h.is_known OR (h.outs & k.bit) = 0
                THEN CASE WHEN h.is_fresh THEN 'not_comparable' ELSE 'lost_opt_out' END
        END AS class
    FROM (
        SELECT
            w.*, w.sends - (w.sends & w.withheld) AS mailable,
            w.shown_outs - (w.shown_outs & (w.sends - (w.sends & w.withheld))) AS held,
            w.outs | CASE WHEN u.contact_key IS NULL THEN 0 ELSE 1 END AS owed
        FROM world_here AS w
        LEFT JOIN world_undated AS u ON u.contact_key = w.contact_key
        WHERE NOT w.is_missing
    ) AS h
    CROSS JOIN world_category AS k
    UNION ALL
    SELECT k.category, 'conflicting_duplicates'
    FROM world_here AS h
    JOIN world_category AS k ON (h.shown_outs & k.bit) <> 0
    WHERE NOT h.is_missing AND h.has_duplicate
    UNION ALL
    SELECT NULL, 'missing_here' FROM world_here WHERE is_missing AND is_known
) AS found
WHERE class IS NOT NULL
GROUP BY class, category;
