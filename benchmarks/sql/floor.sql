-- The floor of `benchmarks.reconcile`: the same night by hand, for this world alone (one hub, four
-- ESPs, four categories, opt-outs and returns of one scope a person), with nothing generic in it.
-- Frozen: it is changed only to make it faster.

CREATE TEMP TABLE f_cat AS
SELECT * FROM (VALUES ('product_updates', 1), ('educational', 2), ('promotional', 4), ('events', 8)) AS t(category, bit);

-- Rule 3: the last opt-out of each scope, and whether the person came back after it.
CREATE TEMP TABLE f_scope AS
WITH outs AS (
    SELECT contact_key, category, occurred_at, occurred_from, change_id, system, source
    FROM core.change AS c
    WHERE new_state = 'opted_out' AND occurred_at <= $cutoff
      AND (time_kind = 'source' OR NOT EXISTS (
            SELECT 1 FROM core.change AS s
            WHERE s.contact_key = c.contact_key AND s.time_kind = 'source' AND s.system = c.system
              AND s.new_state = c.new_state AND s.category IS NOT DISTINCT FROM c.category
              AND s.occurred_at <= c.occurred_at AND s.occurred_at > c.occurred_from))
    UNION ALL
    SELECT
        contact_key, 'product_updates',
        max(CASE WHEN modified_at < valid_from THEN modified_at ELSE valid_from END), NULL, NULL,
        system, 'unknown'
    FROM core.observation
    WHERE night_to IS NULL AND weak_outs <> 0
    GROUP BY contact_key, system
),
last_out AS (
    SELECT
        contact_key, category, max(occurred_at) AS occurred_at,
        arg_max({'f': occurred_from, 'c': change_id, 's': system, 'w': source}, occurred_at) AS o
    FROM outs
    GROUP BY contact_key, category
),
back AS (
    SELECT
        contact_key, category, max(occurred_at) AS occurred_at,
        arg_max({'f': occurred_from, 'c': change_id, 's': system, 'w': source}, occurred_at) AS o
    FROM core.change
    WHERE new_state = 'opted_in' AND is_explicit AND time_kind = 'source'
      AND occurred_at <= $cutoff AND contact_key IN (SELECT contact_key FROM last_out)
    GROUP BY contact_key, category
)
SELECT
    l.contact_key, l.category, b.contact_key IS NOT NULL AS is_lifted,
    coalesce(b.occurred_at, l.occurred_at) AS occurred_at, coalesce(b.o, l.o) AS o
FROM last_out AS l
LEFT JOIN back AS b
    ON b.contact_key = l.contact_key AND b.category IS NOT DISTINCT FROM l.category
   AND b.occurred_at > l.occurred_at + INTERVAL 15 MINUTE;

DELETE FROM audit.expected;

INSERT INTO audit.expected
SELECT
    s.contact_key, k.category, CASE WHEN is_lifted THEN 'opted_in' ELSE 'opted_out' END,
    CASE WHEN is_lifted THEN 'lifted' ELSE 'opt_out_stands' END, o.s, occurred_at, o.f, o.w, o.c
FROM f_scope AS s
JOIN f_cat AS k ON s.category IS NULL OR s.category = k.category;

-- 21 bits a system: sends | blocks << 4 | outs << 8 | ins << 12 | unclear << 16 | present << 20; of
-- the hub owed and lifted instead of the first two. Three systems in one word, two in the other.
CREATE TEMP TABLE f_word AS
SELECT contact_key, bit_or(CASE WHEN place < 63 THEN word << place ELSE 0 END) AS a,
       bit_or(CASE WHEN place >= 63 THEN word << (place - 63) ELSE 0 END) AS b
FROM (
    SELECT
        contact_key,
        CASE system WHEN 'sell' THEN 0 WHEN 'mailchimp' THEN 21 WHEN 'sendgrid' THEN 42
             WHEN 'klaviyo' THEN 63 ELSE 84 END AS place,
        CAST(CASE WHEN system = 'sell' THEN 0 ELSE sends + (blocks | store_blocks) * 16 END
             + outs * 256 + (ins - (ins & outs)) * 4096 + unclear * 65536
             + CASE WHEN present THEN 1048576 ELSE 0 END AS BIGINT) AS word
    FROM core.observation
    WHERE night_to IS NULL
    UNION ALL
    SELECT contact_key, 0,
           coalesce(k.bit, 15) * CASE WHEN is_lifted THEN 16 ELSE 1 END
    FROM f_scope AS s LEFT JOIN f_cat AS k ON k.category = s.category
)
GROUP BY contact_key;

CREATE TEMP TABLE f_all AS
SELECT 'mailchimp' AS system, (a >> 21) & 2097151 AS e, a & 2097151 AS h, count(*) AS people
FROM f_word GROUP BY 2, 3
UNION ALL
SELECT 'sendgrid', a >> 42, a & 2097151, count(*) FROM f_word GROUP BY 2, 3
UNION ALL
SELECT 'klaviyo', b & 2097151, a & 2097151, count(*) FROM f_word GROUP BY 2, 3
UNION ALL
SELECT 'hubspot', b >> 21, a & 2097151, count(*) FROM f_word GROUP BY 2, 3;

-- What each pair of words means, cell by cell.
CREATE TEMP TABLE f_cell AS
SELECT
    system, e, h, people, category, bit, is_known, is_present,
    mailable & bit <> 0 AS is_mailable, held & bit <> 0 AS is_held,
    (owed | (held - (held & lifted))) & bit <> 0 AS is_owing, lifted & bit <> 0 AS is_lifted,
    ins & outs & bit <> 0 AS is_conflict,
    CASE
        WHEN NOT is_present THEN NULL
        WHEN unclear & bit <> 0 THEN 'not_comparable'
        WHEN mailable & owed & bit <> 0 THEN 'unhonoured_opt_out'
        WHEN mailable & bit <> 0 AND NOT is_known THEN 'orphan_mailable'
        WHEN held & lifted & bit <> 0 THEN 'over_suppressed'
        WHEN held & bit <> 0 AND hub_outs & bit = 0 THEN 'lost_opt_out'
    END AS class,
    CASE WHEN (owed | (held - (held & lifted))) & bit <> 0 THEN 'opted_out'
         WHEN (lifted | hub_ins) & bit <> 0 THEN 'opted_in' ELSE 'not_set' END AS expected,
    CASE WHEN mailable & bit <> 0 THEN 'mailable' WHEN held & bit <> 0 THEN 'opted_out'
         WHEN is_present THEN 'neither' ELSE 'absent' END AS actual
FROM (
    SELECT
        *, h & 15 AS owed, (h >> 4) & 15 AS lifted, (h >> 8) & 15 AS hub_outs, (h >> 12) & 15 AS hub_ins,
        h >= 1048576 AS is_known, e <> 0 AS is_present, (e >> 12) & 15 AS ins, (e >> 16) & 15 AS unclear,
        (e >> 8) & 15 AS outs,
        (e & 15) - (e & 15 & (e >> 4)) AS mailable,
        ((e >> 8) & 15) - ((e >> 8) & 15 & ((e & 15) - (e & 15 & (e >> 4)))) AS held
    FROM f_all
) AS shown
CROSS JOIN f_cat
WHERE is_known OR is_present;

CREATE TEMP TABLE f_look AS
SELECT system, e, h, bool_or(class IS NOT NULL OR is_conflict) AS is_odd,
       is_known AND NOT is_present AS is_missing
FROM f_cell
GROUP BY system, e, h, is_known, is_present
HAVING bool_or(class IS NOT NULL OR is_conflict) OR is_known AND NOT is_present;

CREATE TEMP TABLE f_odd AS
SELECT w.contact_key, l.system, l.e, l.h, l.is_odd, l.is_missing
FROM f_word AS w
JOIN f_look AS l ON l.system = 'mailchimp' AND l.e = (w.a >> 21) & 2097151 AND l.h = w.a & 2097151
UNION ALL
SELECT w.contact_key, l.system, l.e, l.h, l.is_odd, l.is_missing
FROM f_word AS w JOIN f_look AS l ON l.system = 'sendgrid' AND l.e = w.a >> 42 AND l.h = w.a & 2097151
UNION ALL
SELECT w.contact_key, l.system, l.e, l.h, l.is_odd, l.is_missing
FROM f_word AS w
JOIN f_look AS l ON l.system = 'klaviyo' AND l.e = w.b & 2097151 AND l.h = w.a & 2097151
UNION ALL
SELECT w.contact_key, l.system, l.e, l.h, l.is_odd, l.is_missing
FROM f_word AS w JOIN f_look AS l ON l.system = 'hubspot' AND l.e = w.b >> 21 AND l.h = w.a & 2097151
UNION ALL
SELECT contact_key, 'sell', 0, a & 2097151, true, false
FROM f_word WHERE (a >> 8) & (a >> 12) & 15 <> 0;

CREATE TEMP TABLE f_read AS
SELECT
    o.system, o.contact_key, c.e, c.h, o.store, o.record_id, o.ins, o.outs, o.sends, o.store_blocks,
    coalesce(o.modified_at > $cutoff AND o.valid_from > $cutoff, false) AS is_new
FROM f_odd AS c
JOIN core.observation AS o ON o.contact_key = c.contact_key AND o.system = c.system
WHERE c.is_odd AND o.night_to IS NULL;

-- One row a drift: the store that causes it, whether all that cause it are new, and the decision.
CREATE TEMP TABLE f_found AS
SELECT
    CASE WHEN d.is_new AND d.class <> 'not_comparable' THEN 'not_comparable' ELSE d.class END AS class,
    d.system, d.category, d.contact_key, d.expected, d.actual,
    CASE WHEN d.class = 'not_comparable' THEN 'unclear_value' WHEN d.is_new THEN 'in_flight'
         WHEN x.contact_key IS NOT NULL AND (d.class <> 'lost_opt_out' OR NOT x.is_lifted)
            THEN CASE WHEN x.is_lifted THEN 'lifted' ELSE 'opt_out_stands' END
         WHEN d.class = 'orphan_mailable' THEN 'no_opt_out' ELSE 'opt_out_stands' END AS reason,
    d.store, x.o.s AS decided_system, x.occurred_at AS decided_at, x.o.w AS decided_source,
    d.is_known, d.is_owing, d.class AS raw_class
FROM (
    SELECT
        r.system, r.contact_key, c.category, c.bit, c.class, c.expected, c.actual, c.is_known,
        c.is_owing,
        min(CASE WHEN (CASE WHEN c.is_mailable THEN r.sends - (r.sends & r.store_blocks)
                            ELSE r.outs END) & c.bit <> 0 AND (c.is_mailable OR c.is_held)
                 THEN r.store END) AS store,
        bool_and(r.is_new OR (CASE WHEN c.is_mailable THEN r.sends ELSE r.outs END) & c.bit = 0)
            AND (c.is_mailable OR c.is_held) AS is_new
    FROM f_read AS r
    JOIN f_cell AS c ON c.system = r.system AND c.e = r.e AND c.h = r.h
    WHERE c.class IS NOT NULL
    GROUP BY r.system, r.contact_key, c.category, c.bit, c.class, c.expected, c.actual, c.is_known,
             c.is_owing, c.is_mailable, c.is_held
) AS d
LEFT JOIN f_scope AS x
    ON x.contact_key = d.contact_key AND (x.category IS NULL OR x.category = d.category)
UNION ALL
SELECT 'missing_here', system, NULL, contact_key, NULL, 'absent', NULL, NULL, NULL, NULL, NULL,
       true, false, NULL
FROM f_odd WHERE is_missing
UNION ALL
SELECT 'conflicting_duplicates', system, category, contact_key, NULL, NULL, NULL, min(store), NULL,
       NULL, NULL, true, false, NULL
FROM (
    SELECT
        r.system, k.category, r.contact_key,
        min(CASE WHEN r.outs & k.bit <> 0 THEN r.store END) AS store
    FROM f_read AS r
    JOIN f_cat AS k ON true
    WHERE (r.system = 'sell' OR ((r.e >> 8) & (r.e >> 12) & 15) <> 0)
    GROUP BY r.system, k.category, k.bit, r.contact_key,
             CASE WHEN r.system = 'sell' THEN '' ELSE r.store END
    HAVING bit_or((r.ins - (r.ins & r.outs)) & k.bit) <> 0 AND bit_or(r.outs & k.bit) <> 0
)
GROUP BY system, category, contact_key;

INSERT INTO audit.cell_count
SELECT $night, system, category, is_owing, actual, is_known, class, CAST(sum(people) AS BIGINT)
FROM (
    SELECT system, category, is_owing, actual, is_known, class, people FROM f_cell
    UNION ALL
    SELECT system, category, is_owing, actual, is_known, raw_class, -1
    FROM f_found WHERE class <> raw_class
    UNION ALL
    SELECT system, category, is_owing, actual, is_known, class, 1
    FROM f_found WHERE class <> raw_class
)
GROUP BY ALL
HAVING sum(people) <> 0;

