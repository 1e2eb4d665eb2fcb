-- conflicting_duplicates (optout.rules.reading.conflicts): records of one person that contradict
-- each other; in the hub all of them, in an ESP those of one store.
CREATE OR REPLACE TEMP TABLE rec_conflict AS
WITH candidate AS (
    SELECT system, contact_key FROM rec_cell WHERE contact_key IS NOT NULL AND conflict <> 0
    UNION ALL
    SELECT $hub, contact_key FROM rec_hub
    WHERE (word & 4095 & (word >> 12)) <> 0 AND $hub IN (SELECT system FROM rec_judged)
),
record AS (
    SELECT
        o.system, o.contact_key, o.store, o.record_id,
        CASE WHEN o.system = $hub THEN '' ELSE o.store END AS place,
        bit_or(o.ins) AS ins,
        bit_or((o.outs - (o.outs & o.weak_outs)) | coalesce(w.outs, 0)) AS outs
    FROM candidate AS c
    JOIN core.observation AS o ON o.system = c.system AND o.contact_key = c.contact_key
    LEFT JOIN rec_weak AS w
        ON w.system = o.system AND w.stream = o.stream AND w.store = o.store
       AND w.record_id = o.record_id AND w.contact_key = o.contact_key
    WHERE o.night_to IS NULL
    GROUP BY o.system, o.contact_key, o.store, o.record_id,
             CASE WHEN o.system = $hub THEN '' ELSE o.store END
),
place AS (
    SELECT
        r.system, r.contact_key, k.category, r.place,
        min(CASE WHEN (r.outs & k.bit) <> 0 THEN r.store END) AS store
    FROM record AS r
    JOIN rec_system AS s ON s.system = r.system
    JOIN rec_category AS k ON (k.bit & s.mask) <> 0
    GROUP BY r.system, r.contact_key, k.category, k.bit, r.place
    HAVING bit_or((r.ins - (r.ins & r.outs)) & k.bit) <> 0 AND bit_or(r.outs & k.bit) <> 0
)
SELECT system, contact_key, category, min(store) AS store
FROM place
GROUP BY system, contact_key, category;

INSERT INTO rec_verdict (class, system, category, contact_key, store)
SELECT 'conflicting_duplicates', system, category, contact_key, store
FROM rec_conflict;
