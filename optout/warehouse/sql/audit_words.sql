-- The word of each reading (optout.warehouse.reconcile), at the place of its system. Of the hub a
-- reading sends nothing, and every out counts.
SELECT
    r.contact_key, p.slot,
    (
        r.mail + r.outs * $out + (r.ins - (r.ins & r.outs)) * $in + r.unclear * $unclear
        + CASE WHEN r.present THEN $present ELSE 0 END
    ) * p.factor AS word
FROM (
    SELECT
        contact_key, system, ins, CAST(unclear AS BIGINT) AS unclear, present,
        CASE WHEN system = $hub THEN 0 ELSE sends + CAST(blocks AS BIGINT) * $block END AS mail,
        CAST(CASE WHEN system = $hub THEN outs ELSE outs - (outs & weak_outs) END AS BIGINT) AS outs
    FROM rec_observation
) AS r
JOIN rec_place AS p ON p.system = r.system
UNION ALL
SELECT a.contact_key, p.slot, a.word * p.factor
FROM rec_aside AS a
JOIN rec_place AS p ON p.system = a.system;
