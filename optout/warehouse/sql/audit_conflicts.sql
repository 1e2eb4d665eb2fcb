-- conflicting_duplicates (optout.rules.reading.conflicts): records of one person that contradict
-- each other; in the hub all of them, in an ESP those of one store.
CREATE OR REPLACE TEMP TABLE rec_conflict AS
WITH record AS (
    SELECT
        r.system, r.contact_key, r.store, r.record_id,
        CASE WHEN r.system = $hub THEN '' ELSE r.store END AS place,
        bit_or(r.ins) AS ins, bit_or(r.outs) AS outs
    FROM rec_reading AS r
    WHERE r.contradicts
    GROUP BY r.system, r.contact_key, r.store, r.record_id,
             CASE WHEN r.system = $hub THEN '' ELSE r.store END
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

INSERT INTO rec_verdict (class, system, category, contact_key, store, is_moved)
SELECT 'conflicting_duplicates', system, category, contact_key, store, false
FROM rec_conflict;
