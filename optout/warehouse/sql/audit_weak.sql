-- Weak outs (a missing yes): an opt-out only where the yes was once seen, a change of this system
-- tells of it, or the hub knows the person's word on it. Where no opt-out of this system explains
-- it, it is an undated one: between the last read that said otherwise and this one.
CREATE OR REPLACE TEMP TABLE rec_weak_row AS
SELECT
    o.system, o.stream, o.store, o.record_id, o.contact_key,
    o.outs & o.weak_outs AS weak, o.seen_in, o.seen_after,
    CASE WHEN o.modified_at < o.valid_from
              AND (o.seen_after IS NULL OR o.modified_at > o.seen_after)
         THEN o.modified_at ELSE o.valid_from END AS last_moment
FROM rec_observation AS o
JOIN rec_system AS s ON s.system = o.system
WHERE o.weak_outs <> 0 AND (o.outs & o.weak_outs) <> 0;

CREATE OR REPLACE TEMP TABLE rec_weak AS
WITH told AS (
    SELECT
        c.system, c.contact_key,
        bit_or(coalesce(k.bit, $all)) AS told,
        bit_or(CASE WHEN c.new_state = 'opted_out' THEN coalesce(k.bit, $all) ELSE 0 END) AS told_out
    FROM rec_change AS c
    LEFT JOIN rec_category AS k ON k.category = c.category
    WHERE (c.category IS NULL OR k.bit IS NOT NULL)
      AND c.system IN (SELECT system FROM rec_weak_row)
      AND c.contact_key IN (SELECT contact_key FROM rec_weak_row)
    GROUP BY c.system, c.contact_key
),
hub_said AS (
    SELECT contact_key, bit_or(ins | outs) AS said
    FROM rec_observation
    WHERE system = $hub AND contact_key IN (SELECT contact_key FROM rec_weak_row)
    GROUP BY contact_key
),
counted AS (
    SELECT
        w.*,
        w.weak & (
            w.seen_in
            | coalesce(t.told, 0)
            | coalesce(h.said, 0)
        ) AS outs,
        coalesce(t.told_out, 0) AS told_out
    FROM rec_weak_row AS w
    LEFT JOIN told AS t ON t.system = w.system AND t.contact_key = w.contact_key
    LEFT JOIN hub_said AS h ON h.contact_key = w.contact_key
)
SELECT
    system, stream, store, record_id, contact_key, outs, outs - (outs & told_out) AS undated,
    seen_after, last_moment
FROM counted
WHERE outs <> 0;
