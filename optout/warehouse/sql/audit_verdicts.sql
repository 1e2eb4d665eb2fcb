-- The odd people's records, store by store: what causes each difference.

-- Contradictions in the hub are looked at, too: its contacts and leads are one person.
INSERT INTO rec_person
SELECT $hub, contact_key, 0, hub_word, false, false, true
FROM rec_pair
WHERE ((hub_word >> ($bits * 2)) & (hub_word >> ($bits * 3)) & $all) <> 0
  AND $hub IN (SELECT system FROM rec_judged);

-- With the weak outs that count as outs.
CREATE OR REPLACE TEMP TABLE rec_reading AS
SELECT
    o.system, o.contact_key, o.store, o.record_id, p.contradicts, o.ins, o.sends, o.store_blocks,
    (o.outs - (o.outs & o.weak_outs)) | coalesce(w.outs, 0) AS outs,
    CASE WHEN o.modified_at > $cutoff AND o.valid_from > $cutoff THEN 0 ELSE 4095 END AS old
FROM rec_person AS p
JOIN rec_observation AS o ON o.contact_key = p.contact_key AND o.system = p.system
LEFT JOIN rec_weak AS w
    ON w.contact_key = o.contact_key AND w.system = o.system AND w.stream = o.stream
   AND w.store = o.store AND w.record_id = o.record_id
WHERE p.differs OR p.contradicts;

-- The stores that cause a cell: those that send, or those that hold the opt-out.
CREATE OR REPLACE TEMP TABLE rec_cause AS
WITH store AS (
    SELECT
        system, contact_key, store,
        bit_or(sends) AS sends, bit_or(store_blocks) AS blocks, bit_or(outs) AS outs,
        bit_or(sends & old) AS old_sends, bit_or(outs & old) AS old_outs
    FROM rec_reading
    GROUP BY system, contact_key, store
),
difference AS (
    SELECT p.contact_key, c.cell_id, c.system, c.bit, c.is_mailable
    FROM rec_person AS p
    JOIN rec_cell AS c ON c.system = p.system AND c.word = p.word AND c.hub_word = p.hub_word
    WHERE p.differs AND c.class IS NOT NULL
),
shown AS (
    SELECT
        d.contact_key, d.cell_id, s.store,
        CASE WHEN d.is_mailable THEN s.sends - (s.sends & s.blocks) ELSE s.outs END & d.bit AS causes,
        CASE WHEN d.is_mailable THEN s.old_sends ELSE s.old_outs END & d.bit AS old
    FROM difference AS d
    JOIN store AS s ON s.contact_key = d.contact_key AND s.system = d.system
)
SELECT
    contact_key, cell_id,
    min(CASE WHEN causes <> 0 THEN store END) AS store,
    coalesce(max(CASE WHEN causes <> 0 THEN old END) = 0, false) AS is_fresh
FROM shown
GROUP BY contact_key, cell_id;

CREATE OR REPLACE TEMP VIEW rec_difference AS
SELECT
    d.contact_key, d.cell_id, d.store, d.is_fresh, c.system, c.category, c.bit, c.class,
    c.expected, c.actual, c.is_mailable
FROM rec_cause AS d
JOIN rec_cell AS c ON c.cell_id = d.cell_id;
