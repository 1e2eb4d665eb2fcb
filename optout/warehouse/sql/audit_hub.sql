-- One row a person whom the hub knows: the hub's half of the word (optout.warehouse.reconcile).
CREATE OR REPLACE TEMP TABLE rec_hub_said AS
SELECT
    contact_key,
    bit_or(
        (ins - (ins & outs))
        + CAST(outs AS BIGINT) * 4096
        + CAST(unclear AS BIGINT) * 16777216
        + CASE WHEN present THEN 1152921504606846976 ELSE 0 END
    ) AS word
FROM core.observation
WHERE system = $hub AND night_to IS NULL AND contact_key IS NOT NULL
GROUP BY contact_key;
