-- One ESP against the hub in one pass: people who are as they should be are counted by what they
-- show, everyone else is kept by key. Words and the order of fields: optout.warehouse.reconcile.

-- What only few people have: unclear values are packed, blocks of one store and weak outs are not.
CREATE OR REPLACE TEMP TABLE rec_aside AS
WITH store AS (
    SELECT contact_key, store, bit_or(sends) AS sends, bit_or(store_blocks) AS blocks
    FROM core.observation
    WHERE system = $system AND night_to IS NULL
      AND contact_key IN (
            SELECT contact_key FROM core.observation
            WHERE system = $system AND night_to IS NULL AND store_blocks <> 0
      )
    GROUP BY contact_key, store
),
sending AS (
    SELECT
        contact_key, bit_or(sends) AS sends, bit_or(sends - (sends & blocks)) AS unblocked
    FROM store
    GROUP BY contact_key
)
SELECT contact_key, bit_or(withheld) AS withheld, bit_or(weak) AS weak
FROM (
    SELECT contact_key, sends - (sends & unblocked) AS withheld, 0 AS weak FROM sending
    UNION ALL
    SELECT contact_key, 0, outs FROM rec_weak WHERE system = $system
) AS either
GROUP BY contact_key;

INSERT INTO rec_cell
WITH person AS (
    SELECT
        contact_key,
        bit_or(
            sends
            + CAST(blocks AS BIGINT) * 4096
            + CAST(outs - (outs & weak_outs) AS BIGINT) * 16777216
            + CAST(ins - (ins & (outs - (outs & weak_outs))) AS BIGINT) * 68719476736
            + CAST(unclear AS BIGINT) * 281474976710656
            + CASE WHEN present THEN 1152921504606846976 ELSE 0 END
        ) AS word
    FROM core.observation
    WHERE system = $system AND night_to IS NULL AND contact_key IS NOT NULL
    GROUP BY contact_key
),
both_sides AS (
    SELECT
        coalesce(e.contact_key, h.contact_key) AS contact_key,
        coalesce(e.word, 0) AS word, coalesce(h.word, 0) AS hub_word
    FROM person AS e
    FULL JOIN rec_hub AS h ON h.contact_key = e.contact_key
),
unpacked AS (
    SELECT
        b.contact_key,
        b.word & 4095 & $mask AS sends,
        ((b.word >> 12) & 4095) | coalesce(a.withheld, 0) AS blocks,
        (((b.word >> 24) & 4095) | coalesce(a.weak, 0)) & $mask AS outs,
        (b.word >> 36) & 4095 & $mask AS ins,
        (b.word >> 48) & 4095 & $mask AS unclear,
        b.word >= 1152921504606846976
            OR (b.word & 1152640098332839935) <> 0       -- it sends, holds an opt-out, or is unclear
            OR coalesce(a.weak, 0) <> 0 AS present,
        b.hub_word & 4095 AS hub_ins,
        (b.hub_word >> 12) & 4095 AS hub_outs,
        (b.hub_word >> 24) & 4095 AS hub_unclear,
        b.hub_word >= 1152921504606846976 AS known,
        coalesce(o.owed, 0) & $mask AS owed,
        coalesce(o.lifted, 0) & $mask AS lifted
    FROM both_sides AS b
    LEFT JOIN rec_owed AS o ON o.contact_key = b.contact_key
    LEFT JOIN rec_aside AS a ON a.contact_key = b.contact_key
),
shown AS (
    SELECT *, sends - (sends & blocks) AS mailable, outs - (outs & (sends - (sends & blocks))) AS held
    FROM unpacked
),
-- `owing`: what has to be opted out, an opt-out held here and never lifted included.
judged AS (
    SELECT
        *,
        owed | (held - (held & lifted)) AS owing,
        known AND NOT present
            OR unclear <> 0
            OR (ins & outs) <> 0
            OR (mailable & owed) <> 0
            OR (NOT known AND mailable <> 0)
            OR ((hub_unclear - (hub_unclear & hub_outs)) & (mailable | held)) <> 0
            OR (held & lifted) <> 0
            OR (held - (held & hub_outs)) <> 0 AS is_odd
    FROM shown
)
SELECT
    $system,
    CASE WHEN is_odd THEN contact_key END,
    CAST(mailable AS INTEGER), CAST(held AS INTEGER), CAST(owing AS INTEGER), known, present,
    CAST(CASE WHEN is_odd THEN lifted ELSE 0 END AS INTEGER),
    CAST(CASE WHEN is_odd THEN unclear ELSE 0 END AS INTEGER),
    CAST(CASE WHEN is_odd THEN ins & outs ELSE 0 END AS INTEGER),
    CAST(CASE WHEN is_odd THEN hub_ins ELSE 0 END AS INTEGER),
    CAST(CASE WHEN is_odd THEN hub_outs ELSE 0 END AS INTEGER),
    CAST(CASE WHEN is_odd THEN hub_unclear ELSE 0 END AS INTEGER),
    count(*)
FROM judged
WHERE known OR present
GROUP BY
    CASE WHEN is_odd THEN contact_key END,
    mailable, held, owing, known, present,
    CASE WHEN is_odd THEN lifted ELSE 0 END,
    CASE WHEN is_odd THEN unclear ELSE 0 END,
    CASE WHEN is_odd THEN ins & outs ELSE 0 END,
    CASE WHEN is_odd THEN hub_ins ELSE 0 END,
    CASE WHEN is_odd THEN hub_outs ELSE 0 END,
    CASE WHEN is_odd THEN hub_unclear ELSE 0 END;
