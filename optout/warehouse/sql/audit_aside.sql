-- What does not fit into one `bit_or` over the readings of a person, because it takes several of
-- them or another table, brought into the form of the words (optout.warehouse.reconcile): sends
-- that a block of the same store withholds are blocked, weak outs that count are outs, and of the
-- hub what is owed to the person (rule 3) and what was lifted.
CREATE OR REPLACE TEMP TABLE rec_aside AS
WITH store AS (
    SELECT system, contact_key, store, bit_or(sends) AS sends, bit_or(store_blocks) AS blocks
    FROM rec_observation
    WHERE system <> $hub
      AND contact_key IN (SELECT contact_key FROM rec_observation WHERE store_blocks <> 0)
    GROUP BY system, contact_key, store
),
sending AS (
    SELECT
        system, contact_key, bit_or(sends) AS sends, bit_or(sends - (sends & blocks)) AS unblocked
    FROM store
    GROUP BY system, contact_key
)
SELECT
    system, contact_key, CAST(sends - (sends & unblocked) AS BIGINT) * $block AS word
FROM sending
WHERE sends <> unblocked
UNION ALL
SELECT system, contact_key, CAST(outs AS BIGINT) * $out FROM rec_weak WHERE system <> $hub
UNION ALL
SELECT
    $hub, contact_key,
    CASE WHEN stands THEN CAST(bit AS BIGINT) ELSE CAST(bit AS BIGINT) * $block END
FROM rec_decided;
