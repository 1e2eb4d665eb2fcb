-- Rule 5 (optout.rules.drift.classify) for the odd people that `audit_cells` kept: the first class
-- that fits each cell. Differences that only a later change explains are moved by `audit_in_flight`.
CREATE OR REPLACE TEMP TABLE rec_odd AS
SELECT
    c.system, k.category, k.bit, c.contact_key, c.known,
    (c.mailable & k.bit) <> 0 AS is_mailable,
    (c.held & k.bit) <> 0 AS is_held,
    (c.owing & k.bit) <> 0 AS is_owing,
    (c.lifted & k.bit) <> 0 AS is_lifted,
    (c.unclear & k.bit) <> 0 AS is_unclear,
    (c.hub_ins & k.bit) <> 0 AS is_hub_in,
    (c.hub_outs & k.bit) <> 0 AS is_hub_out,
    (c.hub_unclear & k.bit) <> 0 AS is_hub_unclear
FROM rec_cell AS c
JOIN rec_system AS s ON s.system = c.system
JOIN rec_category AS k ON (k.bit & s.mask) <> 0
WHERE c.contact_key IS NOT NULL AND c.present;

CREATE OR REPLACE TEMP TABLE rec_difference AS
SELECT *
FROM (
    SELECT
        *,
        CASE
            WHEN is_unclear THEN 'not_comparable'
            WHEN is_mailable AND is_owing THEN 'unhonoured_opt_out'
            WHEN is_mailable AND NOT known THEN 'orphan_mailable'
            WHEN (is_mailable OR is_held) AND is_hub_unclear AND NOT is_hub_out
                THEN 'not_comparable'
            WHEN is_held AND is_lifted THEN 'over_suppressed'
            WHEN is_held AND NOT is_hub_out THEN 'lost_opt_out'
        END AS class,
        CASE WHEN is_owing THEN 'opted_out' WHEN is_lifted OR is_hub_in THEN 'opted_in'
             ELSE 'not_set' END AS expected,
        CASE WHEN is_mailable THEN 'mailable' WHEN is_held THEN 'opted_out'
             ELSE 'neither' END AS actual
    FROM rec_odd
) AS told
WHERE class IS NOT NULL;

-- The stores that cause a cell: those that send, or those that hold the opt-out.
CREATE OR REPLACE TEMP TABLE rec_cause AS
WITH store AS (
    SELECT
        d.system, d.contact_key, d.bit, o.store, d.is_mailable,
        max(CASE WHEN (o.sends & d.bit) <> 0 THEN 1 ELSE 0 END) AS sends,
        max(CASE WHEN (o.store_blocks & d.bit) <> 0 THEN 1 ELSE 0 END) AS blocks,
        max(CASE WHEN (((o.outs - (o.outs & o.weak_outs)) | coalesce(w.outs, 0)) & d.bit) <> 0
                 THEN 1 ELSE 0 END) AS outs,
        max(CASE WHEN ((CASE WHEN d.is_mailable THEN o.sends ELSE
                 (o.outs - (o.outs & o.weak_outs)) | coalesce(w.outs, 0) END) & d.bit) = 0 THEN 0
                 WHEN o.modified_at > $cutoff AND o.valid_from > $cutoff THEN 0
                 ELSE 1 END) AS is_old
    FROM rec_difference AS d
    JOIN core.observation AS o ON o.system = d.system AND o.contact_key = d.contact_key
    LEFT JOIN rec_weak AS w
        ON w.system = o.system AND w.stream = o.stream AND w.store = o.store
       AND w.record_id = o.record_id AND w.contact_key = o.contact_key
    WHERE o.night_to IS NULL
    GROUP BY d.system, d.contact_key, d.bit, o.store, d.is_mailable
)
SELECT system, contact_key, bit, min(store) AS store, max(is_old) = 0 AS is_fresh
FROM store
WHERE CASE WHEN is_mailable THEN sends = 1 AND blocks = 0 ELSE outs = 1 END
GROUP BY system, contact_key, bit;
