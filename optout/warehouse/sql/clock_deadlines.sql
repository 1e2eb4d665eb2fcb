-- The two deadlines of every opt-out: of all rules that bind, the earliest; strict and legal apart.
-- clk_due holds the dates that were computed for clk_date.
CREATE OR REPLACE TEMP TABLE clk_deadline AS
WITH due AS (
    SELECT
        s.word_id, s.rule, s.is_strict, s.is_legal, s.is_guess, s.zone,
        CASE WHEN s.hours IS NULL THEN d.strict_late_from
             ELSE s.started_at + to_hours(s.hours) + INTERVAL 1 MICROSECOND END AS strict_late_from,
        CASE WHEN s.hours IS NULL THEN d.legal_late_from
             ELSE s.started_at + to_hours(s.hours) + INTERVAL 1 MICROSECOND END AS legal_late_from
    FROM clk_start AS s
    LEFT JOIN clk_due AS d
        ON d.rule = s.rule AND d.country = s.country AND d.zone = s.zone
       AND d.started_on = CAST((s.started_at AT TIME ZONE 'UTC') AT TIME ZONE s.zone AS DATE)
),
either AS (
    SELECT
        word_id,
        min(CASE WHEN is_strict THEN strict_late_from ELSE legal_late_from END) AS strict_late_from,
        coalesce(min(CASE WHEN is_legal THEN legal_late_from END), min(strict_late_from))
            AS legal_late_from
    FROM due
    GROUP BY word_id
)
SELECT
    e.word_id, e.strict_late_from, e.legal_late_from,
    min(d.rule) FILTER (d.strict_at = e.strict_late_from) AS strict_rule,
    min(d.zone) FILTER (d.strict_at = e.strict_late_from) AS strict_zone,
    min(d.rule) FILTER (d.legal_at = e.legal_late_from) AS legal_rule,
    min(d.zone) FILTER (d.legal_at = e.legal_late_from) AS legal_zone,
    bool_or(d.is_guess) AS is_guess
FROM either AS e
JOIN (
    SELECT
        *,
        CASE WHEN is_strict THEN strict_late_from ELSE legal_late_from END AS strict_at,
        CASE WHEN is_legal THEN legal_late_from ELSE strict_late_from END AS legal_at
    FROM due
) AS d ON d.word_id = e.word_id
GROUP BY e.word_id, e.strict_late_from, e.legal_late_from;

-- The dates that people read: of the last moment in time.
CREATE OR REPLACE TEMP TABLE clk_out AS
SELECT
    w.*, d.strict_late_from, d.legal_late_from, d.strict_rule, d.legal_rule, d.strict_zone AS zone,
    d.is_guess,
    CAST((d.strict_late_from - INTERVAL 1 MICROSECOND) AT TIME ZONE 'UTC'
         AT TIME ZONE d.strict_zone AS DATE) AS strict_deadline,
    CAST((d.legal_late_from - INTERVAL 1 MICROSECOND) AT TIME ZONE 'UTC'
         AT TIME ZONE d.legal_zone AS DATE) AS legal_deadline,
    j.jurisdiction, j.kind AS jurisdiction_kind,
    w.word_id NOT IN (SELECT word_id FROM clk_copy) AS is_root
FROM clk_stand AS w
JOIN clk_deadline AS d ON d.word_id = w.word_id
JOIN clk_jurisdiction AS j ON j.contact_key = w.contact_key;
