-- Rule 5 (optout.rules.drift.classify) for every pair of words that occurs, cell by cell: the first
-- class that fits. Differences that only a later change explains are moved by `audit_in_flight`.
-- `owing`: what has to be opted out; an opt-out that is held here and was never lifted included.
CREATE OR REPLACE TEMP TABLE rec_cell AS
WITH unpacked AS (
    SELECT
        g.system, g.word, g.hub_word, g.people, s.mask,
        (g.word & s.mask) - (g.word & s.mask & (g.word >> $bits)) AS mailable,
        (g.word >> ($bits * 2)) & s.mask AS outs,
        (g.word >> ($bits * 3)) & s.mask AS ins,
        (g.word >> ($bits * 4)) & s.mask AS unclear,
        -- Something here tells of the person.
        g.word >= $present OR (g.word & ($all + $all * $out + $all * $unclear)) <> 0 AS present,
        g.hub_word & s.mask AS owed,
        (g.hub_word >> $bits) & s.mask AS lifted,
        (g.hub_word >> ($bits * 2)) & $all AS hub_outs,
        (g.hub_word >> ($bits * 3)) & $all AS hub_ins,
        (g.hub_word >> ($bits * 4)) & $all AS hub_unclear,
        g.hub_word >= $present AS known
    FROM rec_group AS g
    JOIN rec_system AS s ON s.system = g.system
),
shown AS (
    SELECT *, outs - (outs & mailable) AS held
    FROM unpacked
    WHERE known OR present
),
cell AS (
    SELECT
        u.system, u.word, u.hub_word, u.people, u.known, u.present, k.category, k.bit,
        (u.mailable & k.bit) <> 0 AS is_mailable,
        (u.held & k.bit) <> 0 AS is_held,
        ((u.owed | (u.held - (u.held & u.lifted))) & k.bit) <> 0 AS is_owing,
        (u.lifted & k.bit) <> 0 AS is_lifted,
        (u.unclear & k.bit) <> 0 AS is_unclear,
        (u.ins & u.outs & k.bit) <> 0 AS is_contradicted,
        (u.hub_ins & k.bit) <> 0 AS is_hub_in,
        (u.hub_outs & k.bit) <> 0 AS is_hub_out,
        (u.hub_unclear & k.bit) <> 0 AS is_hub_unclear
    FROM shown AS u
    JOIN rec_category AS k ON (k.bit & u.mask) <> 0
)
SELECT
    row_number() OVER (ORDER BY system, word, hub_word, bit) AS cell_id,
    system, word, hub_word, people, known, present, category, bit, is_mailable, is_held, is_owing,
    is_contradicted,
    CASE
        WHEN is_unclear THEN 'not_comparable'
        WHEN is_mailable AND is_owing THEN 'unhonoured_opt_out'
        WHEN is_mailable AND NOT known THEN 'orphan_mailable'
        WHEN (is_mailable OR is_held) AND is_hub_unclear AND NOT is_hub_out THEN 'not_comparable'
        WHEN is_held AND is_lifted THEN 'over_suppressed'
        WHEN is_held AND NOT is_hub_out THEN 'lost_opt_out'
    END AS class,
    CASE WHEN is_owing THEN 'opted_out' WHEN is_lifted OR is_hub_in THEN 'opted_in'
         ELSE 'not_set' END AS expected,
    CASE WHEN is_mailable THEN 'mailable' WHEN is_held THEN 'opted_out'
         WHEN present THEN 'neither' ELSE 'absent' END AS actual
FROM cell;

-- The pairs of words that show something to look at. Everyone else is as they should be.
CREATE OR REPLACE TEMP TABLE rec_odd AS
SELECT
    system, word, hub_word,
    known AND NOT present AS is_missing,
    max(CASE WHEN class IS NOT NULL THEN 1 ELSE 0 END) = 1 AS differs,
    max(CASE WHEN is_contradicted THEN 1 ELSE 0 END) = 1 AS contradicts
FROM rec_cell
GROUP BY system, word, hub_word, known AND NOT present
HAVING known AND NOT present
    OR max(CASE WHEN class IS NOT NULL OR is_contradicted THEN 1 ELSE 0 END) = 1;
