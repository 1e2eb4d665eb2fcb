-- People whose truth is known (benchmarks.worlds_at_size): what each wishes follows from one draw.
-- Of a hundred, five have opted out of everything, seven of one category, one came back to it,
-- 27 never said anything, sixty opted in to all; one is unknown to the hub.
CREATE OR REPLACE TEMP TABLE world_person AS
SELECT
    *,
    CASE WHEN wish < 5 THEN 15 WHEN wish < 12 THEN bit ELSE 0 END AS outs,
    CASE WHEN wish < 5 OR wish BETWEEN 13 AND 39 THEN 0
         WHEN wish < 12 THEN 15 - bit ELSE 15 END AS ins,
    CASE WHEN wish = 12 THEN bit ELSE 0 END AS lifted,
    CASE WHEN wish < 5 THEN NULL WHEN bit = 1 THEN 'product_updates' WHEN bit = 2 THEN 'educational'
         WHEN bit = 4 THEN 'promotional' ELSE 'events' END AS category,
    CASE WHEN is_known THEN 'sell' ELSE 'mailchimp' END AS teller,
    $cutoff - (age * INTERVAL 1 DAY) - (i % 86400) * INTERVAL 1 SECOND AS acted_at
FROM (
    SELECT
        i, contact_key, p % 100 <> 0 AS is_known, (p // 100) % 100 AS wish,
        CAST(power(2, (p // 10000) % 4) AS INTEGER) AS bit,
        CAST((p // 1000000) % 700 AS INTEGER) + 2 AS age,
        (p // 1000000000) % 20 = 0 AS is_twice,
        (p // 20000000000) % 2000 = 0 AND (p // 100) % 100 >= 40 AS is_undated
    FROM (
        SELECT
            i, CAST(md5($seed || '|key|' || i) AS UUID) AS contact_key,
            md5_number_lower($seed || '|person|' || i) AS p
        FROM range($people) AS r(i)
    ) AS drawn
) AS person;

INSERT INTO core.identity
SELECT contact_key, 'p' || i || '@example.com', 'key1', $first_night FROM world_person;

-- The hub: contacts; 5 % are leads, too, of whom some contradict.
INSERT INTO core.observation BY NAME
SELECT
    'sell' AS system, 'contacts' AS stream, store, 'r' || i AS record_id, contact_key,
    ins, outs, CASE WHEN wish < 5 THEN 0 ELSE outs END AS category_outs, 0 AS weak_outs, 0 AS sends,
    0 AS blocks, 0 AS store_blocks, 0 AS unclear, ins AS seen_in, wish < 5 AS global_out,
    false AS undeliverable, false AS complained, true AS present, false AS in_explicit,
    false AS in_global, acted_at AS modified_at, $first_read AS valid_from,
    $first_night AS night_from, NULL AS night_to, false AS is_deleted
FROM (
    SELECT *, 'contacts' AS store FROM world_person WHERE is_known
    UNION ALL
    SELECT * REPLACE (CASE WHEN i % 1000 = 20 THEN 0 ELSE outs END AS outs,
                      CASE WHEN i % 1000 = 20 THEN 15 ELSE ins END AS ins), 'leads'
    FROM world_person WHERE is_known AND i % 20 = 0
) AS record;

-- Every act: the opt-out, told twice by some systems and guessed once more by comparison; the way
-- back; and opt-ins that decide nothing.
INSERT INTO core.change BY NAME
SELECT
    row_number() OVER () AS change_seq, CAST(md5($seed || '|change|' || kind || i) AS UUID) AS change_id,
    $first_night AS night, system, 'event' AS feed, contact_key, category, new_state, occurred_at,
    CASE WHEN kind = 3 THEN occurred_at - INTERVAL 1 DAY ELSE occurred_at END AS occurred_from,
    CASE WHEN kind = 3 THEN 'estimated' ELSE 'source' END AS time_kind, occurred_at AS recorded_at,
    'preference_center' AS source, kind <> 3 AS is_explicit
FROM (
    SELECT 1 AS kind, i, contact_key, teller AS system, category, 'opted_out' AS new_state,
           acted_at AS occurred_at
    FROM world_person WHERE wish < 13
    UNION ALL
    SELECT 2, i, contact_key, 'mailchimp', category, 'opted_out', acted_at + INTERVAL 2 MINUTE
    FROM world_person WHERE wish < 12 AND is_twice
    UNION ALL
    SELECT 3, i, contact_key, teller, category, 'opted_out', acted_at + INTERVAL 1 HOUR
    FROM world_person WHERE wish < 12 AND i % 50 = 3
    UNION ALL
    SELECT 4, i, contact_key, teller, category, 'opted_in', acted_at + INTERVAL 1 DAY
    FROM world_person WHERE wish = 12
    UNION ALL
    SELECT 5, i, contact_key, teller, NULL, 'opted_in', acted_at FROM world_person
    WHERE wish >= 40 AND i % 10 = 4 AND NOT is_undated
) AS act;

-- One in 2,000 of those who opted in to all: Mailchimp shows an interest unticked that was ticked.
CREATE OR REPLACE TEMP TABLE world_undated AS
SELECT contact_key FROM world_person
WHERE is_undated AND md5_number_lower($seed || '|mailchimp|' || i) % 100 <> 0;

INSERT INTO bench.truth
SELECT 'conflicting_duplicates', 'sell', k.category, count(*)
FROM world_person AS p
JOIN world_category AS k ON (p.outs & k.bit) <> 0
WHERE p.is_known AND p.i % 1000 = 20
GROUP BY k.category;
