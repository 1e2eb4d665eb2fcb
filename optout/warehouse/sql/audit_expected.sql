-- Rule 3 (optout.rules.resolution.resolve) for everyone of whom an opt-out is known.

-- One row a (person, category): the opt-out of everything (g), that of the category (s), or both.
CREATE OR REPLACE TEMP TABLE rec_decided AS
WITH standing AS (
    -- How far the person's own opt-ins reach into each scope: an opt-out stands unless one of them was
    -- certainly later than the window.
    SELECT
        s.*,
        NOT coalesce(r.reach > s.occurred_at + $window, false) AS stands,
        r.contact_key IS NOT NULL AS is_contested
    FROM rec_scope AS s
    LEFT JOIN (
        SELECT s.contact_key, s.bit, max(CASE WHEN i.is_explicit THEN i.occurred_from END) AS reach
        FROM rec_scope AS s
        JOIN rec_in AS i
            ON i.contact_key = s.contact_key
           AND (i.bit = s.bit OR (i.bit = 0 AND (i.kept & s.bit) = 0))
        GROUP BY s.contact_key, s.bit
    ) AS r ON r.contact_key = s.contact_key AND r.bit = s.bit
),
pair AS (
    SELECT
        g.contact_key, k.category, k.bit,
        g.stands AS g_stands, g.occurred_at AS g_at, g.occurred_from AS g_from,
        g.first_at AS g_first, g.change_id AS g_change, g.system AS g_system, g.source AS g_source,
        s.stands AS s_stands, s.occurred_at AS s_at, s.occurred_from AS s_from,
        s.first_at AS s_first, s.change_id AS s_change, s.system AS s_system, s.source AS s_source
    FROM standing AS g
    CROSS JOIN rec_category AS k
    LEFT JOIN standing AS s ON s.contact_key = g.contact_key AND s.bit = k.bit
    WHERE g.bit = 0
    UNION ALL
    SELECT
        s.contact_key, k.category, k.bit,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        s.stands, s.occurred_at, s.occurred_from, s.first_at, s.change_id, s.system, s.source
    FROM standing AS s
    JOIN rec_category AS k ON k.bit = s.bit
    WHERE s.contact_key NOT IN (SELECT contact_key FROM standing WHERE bit = 0)
),
chosen AS (
    SELECT
        *,
        coalesce(g_stands, false) OR coalesce(s_stands, false) AS stands,
        CASE WHEN NOT coalesce(g_stands, false) THEN false
             WHEN NOT coalesce(s_stands, false) THEN true
             ELSE g_at >= s_at END AS by_global
    FROM pair
)
SELECT
    contact_key, category, bit, stands, by_global, g_first, s_first,
    CASE WHEN by_global THEN g_at ELSE s_at END AS occurred_at,
    CASE WHEN by_global THEN g_from ELSE s_from END AS occurred_from,
    CASE WHEN by_global THEN g_change ELSE s_change END AS change_id,
    CASE WHEN by_global THEN g_system ELSE s_system END AS system,
    CASE WHEN by_global THEN g_source ELSE s_source END AS source
FROM chosen;

-- Each opt-in beside each opt-out that it may speak to.
CREATE OR REPLACE TEMP TABLE rec_attempt AS
SELECT
    d.contact_key, d.bit, d.stands,
    i.bit = 0 AS is_global, i.is_explicit,
    i.occurred_at, i.occurred_from, i.change_id, i.system, i.source,
    i.occurred_at > d.occurred_at AS is_later,
    CASE WHEN i.bit = 0 THEN d.by_global OR (i.kept & d.bit) = 0 ELSE NOT d.by_global END
        AND (d.occurred_from IS NULL OR i.occurred_at + $window >= d.occurred_from) AS is_near,
    i.occurred_from IS NOT NULL AND d.occurred_from IS NOT NULL
        AND greatest(i.occurred_at, d.occurred_at)
            <= least(i.occurred_from, d.occurred_from) + $window AS is_within,
    coalesce(i.occurred_from > d.s_first + $window, false)
            AND (i.bit <> 0 OR (i.kept & d.bit) = 0)
        OR coalesce(i.occurred_from > d.g_first + $window, false) AND i.bit = 0 AS lifts_one
FROM rec_decided AS d
JOIN rec_in AS i ON i.contact_key = d.contact_key AND (i.bit = 0 OR i.bit = d.bit);

-- Why an opt-out stands although there are opt-ins.
CREATE OR REPLACE TEMP TABLE rec_reason AS
SELECT
    contact_key, bit,
    CASE
        WHEN bool_or(is_explicit AND is_near AND is_within) THEN 'simultaneous'
        WHEN bool_or(is_explicit AND is_near) THEN 'time_unknown'
        WHEN bool_or(is_explicit AND is_later AND is_global) THEN 'category_kept'
        WHEN bool_or(is_explicit AND is_later) THEN 'narrower_scope'
        WHEN bool_or(is_later) THEN 'not_personal'
        ELSE 'opt_out_stands'
    END AS reason
FROM rec_attempt
WHERE stands
GROUP BY contact_key, bit;

-- The opt-in that lifted: the latest of those that lift an opt-out.
CREATE OR REPLACE TEMP TABLE rec_lifting AS
SELECT contact_key, bit, occurred_at, occurred_from, change_id, system, source
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY contact_key, bit
            ORDER BY occurred_at DESC, is_global DESC, change_id DESC
        ) AS place
    FROM rec_attempt
    WHERE NOT stands AND is_explicit AND lifts_one
)
WHERE place = 1;

INSERT INTO audit.expected (
    contact_key, category, state, reason,
    decided_system, decided_at, decided_from, decided_source, decided_change
)
SELECT
    d.contact_key, d.category,
    CASE WHEN d.stands THEN 'opted_out' ELSE 'opted_in' END AS state,
    CASE WHEN d.stands THEN coalesce(r.reason, 'opt_out_stands') ELSE 'lifted' END AS reason,
    CASE WHEN d.stands THEN d.system ELSE l.system END AS decided_system,
    CASE WHEN d.stands THEN d.occurred_at ELSE l.occurred_at END AS decided_at,
    CASE WHEN d.stands THEN d.occurred_from ELSE l.occurred_from END AS decided_from,
    CASE WHEN d.stands THEN d.source ELSE l.source END AS decided_source,
    CASE WHEN d.stands THEN d.change_id ELSE l.change_id END AS decided_change
FROM rec_decided AS d
LEFT JOIN rec_reason AS r ON r.contact_key = d.contact_key AND r.bit = d.bit
LEFT JOIN rec_lifting AS l ON l.contact_key = d.contact_key AND l.bit = d.bit;
