-- One ESP against the hub in one pass: people who are as they should be are counted by their words
-- (optout.warehouse.reconcile), everyone else is kept by key. Nothing is unfolded into cells here.

-- What only few people have, and what does not fit into the word: sends that a block of the same
-- store withholds, and weak outs that count.
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

-- Factors of 4096 shift by 12 bits; 1152921504606846976 is bit 60 (present, known); the mask
-- 2305561602939686911 is that bit or any of sends, outs, unclear: something here tells of a person.
-- The reasons to keep a person, in order: missing here; unclear; perhaps contradicting records;
-- mailed against an opt-out; mailed and unknown; the hub unclear; blocked though lifted; blocked
-- and not shown by the hub.
INSERT INTO rec_person_group
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
beside AS (
    SELECT
        b.*, coalesce(a.withheld, 0) AS withheld, coalesce(a.weak, 0) AS weak,
        b.word & $mask AS sends,
        (b.word & $mask) & ((b.word >> 12) | coalesce(a.withheld, 0)) AS blocked,
        ((b.word >> 24) | coalesce(a.weak, 0)) & $mask AS outs
    FROM both_sides AS b
    LEFT JOIN rec_aside AS a ON a.contact_key = b.contact_key
),
shown AS (
    SELECT
        *, sends - blocked AS mailable, outs - (outs & (sends - blocked)) AS held,
        (hub_word >> 12) & 4095 AS hub_outs
    FROM beside
),
judged AS (
    SELECT
        *,
        hub_word >= 1152921504606846976 AND (word & 2305561602939686911) = 0 AND weak = 0
        OR ((word >> 48) & $mask) <> 0
        OR ((word >> 36) & outs) <> 0
        OR ((hub_word >> 36) & mailable) <> 0
        OR mailable <> 0 AND hub_word < 1152921504606846976
        OR ((hub_word >> 24) & (4095 - hub_outs) & (mailable | held)) <> 0
        OR ((hub_word >> 48) & held) <> 0
        OR (held & (4095 - hub_outs)) <> 0 AS is_odd
    FROM shown
)
SELECT
    $system, CASE WHEN is_odd THEN contact_key END, word, hub_word, withheld, weak, count(*)
FROM judged
GROUP BY CASE WHEN is_odd THEN contact_key END, word, hub_word, withheld, weak;
