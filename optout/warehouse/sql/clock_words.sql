-- Every opt-out known at the cut-off, one row however many feeds tell of it, and from when to when it
-- stood (rule 3, optout.rules.resolution). As small as the number of people who ever opted out.

-- What was found without any record of the change is kept, so that it stays known.
DELETE FROM audit.undated_opt_out WHERE night >= $night;

INSERT INTO audit.undated_opt_out
SELECT e.contact_key, e.category, e.decided_system, e.decided_at, e.decided_from, $night
FROM audit.expected AS e
WHERE e.state = 'opted_out' AND e.decided_change IS NULL AND e.decided_at IS NOT NULL
  AND e.decided_system IS NOT NULL
  AND NOT EXISTS (
        SELECT 1 FROM audit.undated_opt_out AS u
        WHERE u.contact_key = e.contact_key AND u.category = e.category
          AND u.system = e.decided_system AND u.occurred_at = e.decided_at
  );

-- Bounds that the vendor's own stamp has since made exact (core.known_change, as a join).
CREATE OR REPLACE TEMP TABLE clk_superseded AS
SELECT DISTINCT c.change_id
FROM core.change AS c
JOIN core.change AS s
    ON s.system = c.system AND s.contact_key = c.contact_key AND s.new_state = c.new_state
   AND coalesce(s.category, '') = coalesce(c.category, '')
WHERE c.time_kind = 'estimated' AND s.time_kind = 'source'
  AND s.occurred_at <= c.occurred_at
  AND (c.occurred_from IS NULL OR s.occurred_at > c.occurred_from);

-- Erased people whom a vendor sends again have an opt-out that nothing lifts (core.suppression).
CREATE OR REPLACE TEMP TABLE clk_known AS
WITH recorded AS (
    SELECT c.*
    FROM core.change AS c
    WHERE c.new_state = 'opted_out' OR NOT EXISTS (
        SELECT 1 FROM core.suppression AS s
        WHERE s.contact_key = c.contact_key AND (s.category IS NULL OR s.category = c.category)
    )
    UNION ALL BY NAME
    SELECT * FROM core.suppression_change
    WHERE contact_key IN (SELECT contact_key FROM core.identity)
)
SELECT c.*, coalesce(k.bit, 0) AS bit
FROM recorded AS c
LEFT JOIN clk_category AS k ON k.category = c.category
WHERE (c.new_state = 'opted_out' OR (c.new_state = 'opted_in' AND c.is_explicit))
  AND (c.category IS NULL OR k.bit IS NOT NULL)
  AND CASE WHEN c.time_kind = 'source' THEN c.occurred_at
           ELSE coalesce(c.occurred_from, $cutoff) END <= $cutoff
  AND c.change_id NOT IN (SELECT change_id FROM clk_superseded);

CREATE OR REPLACE TEMP TABLE clk_word AS
WITH told AS (
    SELECT
        contact_key, bit, category, system, occurred_at,
        CASE WHEN count(occurred_from) = count(*) THEN max(occurred_from) END AS occurred_from,
        min(time_kind) AS time_kind,
        bool_or(is_explicit) AS is_own,
        coalesce(min(CASE WHEN is_explicit THEN source END), min(source)) AS source,
        min(received_at) AS received_at, min(effective_at) AS effective_at,
        min(campaign_id) AS campaign_id
    FROM clk_known
    WHERE new_state = 'opted_out'
    GROUP BY contact_key, bit, category, system, occurred_at, time_kind
    UNION ALL
    SELECT
        u.contact_key, k.bit, u.category, u.system, u.occurred_at, min(u.occurred_from),
        'estimated', false, 'unknown', NULL, NULL, NULL
    FROM audit.undated_opt_out AS u
    JOIN clk_category AS k ON k.category = u.category
    GROUP BY u.contact_key, k.bit, u.category, u.system, u.occurred_at
)
SELECT
    md5(contact_key || '|' || bit || '|' || system || '|' || occurred_at || '|' || time_kind)::UUID
        AS word_id,
    *
FROM told;

-- The person's own opt-ins; a release of everything spares what the releasing system still showed as
-- opted out when it was recorded (docs/adr/0002), unless it tells of an opt-out since.
CREATE OR REPLACE TEMP TABLE clk_release AS
WITH own AS (
    SELECT contact_key, bit, system, occurred_at, occurred_from, min(night) AS night
    FROM clk_known
    WHERE new_state = 'opted_in' AND occurred_from IS NOT NULL
    GROUP BY contact_key, bit, system, occurred_at, occurred_from
),
kept AS (
    SELECT
        i.contact_key, i.system, i.occurred_at, i.occurred_from, bit_or(o.category_outs) AS kept
    FROM own AS i
    JOIN core.observation AS o ON o.system = i.system AND o.contact_key = i.contact_key
    WHERE i.bit = 0 AND o.category_outs <> 0
      AND o.night_from <= i.night AND (o.night_to IS NULL OR o.night_to > i.night)
    GROUP BY i.contact_key, i.system, i.occurred_at, i.occurred_from
),
since AS (
    SELECT i.contact_key, i.system, i.occurred_at, i.occurred_from, bit_or(c.bit) AS later
    FROM own AS i
    JOIN clk_known AS c
        ON c.contact_key = i.contact_key AND c.system = i.system AND c.new_state = 'opted_out'
    WHERE i.bit = 0 AND c.bit <> 0 AND c.night <= i.night AND c.occurred_at > i.occurred_at
    GROUP BY i.contact_key, i.system, i.occurred_at, i.occurred_from
),
suppressed AS (
    SELECT s.contact_key, bit_or(c.bit) AS kept
    FROM core.suppression AS s
    JOIN clk_category AS c ON c.category = s.category
    GROUP BY s.contact_key
)
SELECT
    i.*,
    CASE WHEN i.bit = 0
         THEN coalesce(k.kept, 0) - (coalesce(k.kept, 0) & coalesce(n.later, 0))
              | coalesce(s.kept, 0)
         ELSE 0 END AS kept
FROM own AS i
LEFT JOIN since AS n
    ON n.contact_key = i.contact_key AND n.system = i.system AND n.occurred_at = i.occurred_at
   AND n.occurred_from = i.occurred_from
LEFT JOIN suppressed AS s ON s.contact_key = i.contact_key
LEFT JOIN kept AS k
    ON k.contact_key = i.contact_key AND k.system = i.system AND k.occurred_at = i.occurred_at
   AND k.occurred_from = i.occurred_from;

CREATE OR REPLACE TEMP TABLE clk_stand AS
WITH lift AS (
    SELECT w.word_id, min(i.occurred_at) AS lifted_at
    FROM clk_word AS w
    JOIN clk_release AS i
        ON i.contact_key = w.contact_key
       AND (i.bit = w.bit OR (i.bit = 0 AND (i.kept & w.bit) = 0))
    WHERE i.occurred_from > w.occurred_at + $window
    GROUP BY w.word_id
)
SELECT w.*, l.lifted_at
FROM clk_word AS w
LEFT JOIN lift AS l ON l.word_id = w.word_id;

-- Copies: what another word of equal or wider scope explains that stood then. The person's own act
-- explains what came within the window before it, too: systems' clocks differ.
CREATE OR REPLACE TEMP TABLE clk_copy AS
SELECT DISTINCT w.word_id
FROM clk_stand AS w
JOIN clk_stand AS a
    ON a.contact_key = w.contact_key AND (a.bit = 0 OR a.bit = w.bit)
WHERE NOT w.is_own AND a.word_id <> w.word_id
  AND (a.lifted_at IS NULL OR a.lifted_at > w.occurred_at)
  AND CASE WHEN a.is_own THEN a.occurred_at <= w.occurred_at + $window
           ELSE (a.occurred_at, a.bit, a.system, a.word_id)
                < (w.occurred_at, w.bit, w.system, w.word_id) END;
