-- The words of the few groups and of the odd people, unfolded into masks of the mapped categories.
-- `owing`: what has to be opted out; an opt-out that is held here and was never lifted included.
CREATE OR REPLACE TEMP TABLE rec_cell AS
WITH unpacked AS (
    SELECT
        g.system, g.contact_key, g.people,
        g.word & s.mask AS sends,
        (g.word >> 12) | g.withheld AS blocks,
        ((g.word >> 24) | g.weak) & s.mask AS outs,
        (g.word >> 36) & s.mask AS ins,
        (g.word >> 48) & s.mask AS unclear,
        (g.word & 2305561602939686911) <> 0 OR g.weak <> 0 AS present,
        g.hub_word & 4095 AS hub_ins,
        (g.hub_word >> 12) & 4095 AS hub_outs,
        (g.hub_word >> 24) & 4095 AS hub_unclear,
        (g.hub_word >> 36) & s.mask AS owed,
        (g.hub_word >> 48) & s.mask AS lifted,
        g.hub_word >= 1152921504606846976 AS known
    FROM rec_person_group AS g
    JOIN rec_system AS s ON s.system = g.system
),
shown AS (
    SELECT
        *, sends - (sends & blocks) AS mailable, outs - (outs & (sends - (sends & blocks))) AS held
    FROM unpacked
)
SELECT
    system, contact_key, people, known, present, mailable, held, lifted, unclear,
    owed | (held - (held & lifted)) AS owing,
    ins & outs AS conflict,
    hub_ins, hub_outs, hub_unclear
FROM shown
WHERE known OR present;
