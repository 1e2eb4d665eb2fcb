-- The opt-outs known at the cut-off, per person and scope (bit 0: of everything), and the opt-ins
-- that could matter to them. All of it is as small as the number of people who ever opted out.

-- Bounds that the vendor's own stamp has since made exact (the view core.known_change, written as
-- a join from its small side).
CREATE OR REPLACE TEMP TABLE rec_superseded AS
SELECT DISTINCT c.change_id
FROM rec_change AS c
JOIN rec_change AS s
    ON s.system = c.system AND s.contact_key = c.contact_key AND s.new_state = c.new_state
   AND coalesce(s.category, '') = coalesce(c.category, '')
WHERE c.time_kind = 'estimated' AND s.time_kind = 'source'
  AND s.occurred_at <= c.occurred_at
  AND (c.occurred_from IS NULL OR s.occurred_at > c.occurred_from);

CREATE OR REPLACE TEMP TABLE rec_out AS
SELECT
    c.contact_key, coalesce(k.bit, 0) AS bit, c.occurred_at, c.occurred_from, c.change_id,
    c.system, c.source
FROM rec_change AS c
LEFT JOIN rec_category AS k ON k.category = c.category
WHERE c.new_state = 'opted_out'
  AND (c.category IS NULL OR k.bit IS NOT NULL)
  AND CASE WHEN c.time_kind = 'source' THEN c.occurred_at
           ELSE coalesce(c.occurred_from, $cutoff) END <= $cutoff
  AND c.change_id NOT IN (SELECT change_id FROM rec_superseded)
UNION ALL
SELECT
    w.contact_key, k.bit, w.last_moment,
    CASE WHEN count(w.seen_after) = count(*) THEN min(w.seen_after) END,
    NULL, w.system, 'unknown'
FROM rec_weak AS w
JOIN rec_category AS k ON (w.undated & k.bit) <> 0
WHERE coalesce(w.seen_after, $cutoff) <= $cutoff
GROUP BY w.contact_key, k.bit, w.system, w.last_moment;

-- Erased people whom a vendor sends again (core.suppression): an opt-out that nothing lifts.
INSERT INTO rec_out
SELECT
    c.contact_key, coalesce(k.bit, 0), c.occurred_at, c.occurred_from, c.change_id, c.system, c.source
FROM core.suppression_change AS c
LEFT JOIN rec_category AS k ON k.category = c.category
WHERE (c.category IS NULL OR k.bit IS NOT NULL) AND c.occurred_at <= $cutoff
  AND c.contact_key IN (SELECT contact_key FROM core.identity);

-- Of each scope the last opt-out, which speaks if any of them stands, and when the first one was.
-- At equal moments the greatest id decides, then the greatest name: no order of reading matters.
CREATE OR REPLACE TEMP TABLE rec_span AS
SELECT
    contact_key, bit, max(occurred_at) AS last_at, min(occurred_at) AS first_at,
    CASE WHEN count(occurred_from) = count(*) THEN min(occurred_from) END AS earliest
FROM rec_out
GROUP BY contact_key, bit;

CREATE OR REPLACE TEMP TABLE rec_scope AS
WITH last_ones AS (
    SELECT o.*, s.first_at
    FROM rec_out AS o
    JOIN rec_span AS s
        ON s.contact_key = o.contact_key AND s.bit = o.bit AND s.last_at = o.occurred_at
),
speaker AS (
    SELECT contact_key, bit, max(change_id) AS change_id, max(system) AS system
    FROM last_ones
    GROUP BY contact_key, bit
)
SELECT l.*
FROM last_ones AS l
JOIN speaker AS s
    ON s.contact_key = l.contact_key AND s.bit = l.bit
   AND (s.change_id = l.change_id OR (s.change_id IS NULL AND s.system = l.system));

-- Opt-ins that are not certainly earlier than every opt-out of the person.
CREATE OR REPLACE TEMP TABLE rec_in AS
WITH person AS (
    SELECT
        contact_key, CASE WHEN count(earliest) = count(*) THEN min(earliest) END AS earliest
    FROM rec_span
    GROUP BY contact_key
),
later AS (
    SELECT
        c.contact_key, coalesce(k.bit, 0) AS bit, c.occurred_at, c.occurred_from, c.change_id,
        c.system, c.source, c.is_explicit
    FROM rec_change AS c
    JOIN person AS p ON p.contact_key = c.contact_key
    LEFT JOIN rec_category AS k ON k.category = c.category
    WHERE c.new_state = 'opted_in'
      AND (c.category IS NULL OR k.bit IS NOT NULL)
      AND CASE WHEN c.time_kind = 'source' THEN c.occurred_at
               ELSE coalesce(c.occurred_from, $cutoff) END <= $cutoff
      AND c.change_id NOT IN (SELECT change_id FROM rec_superseded)
      AND (p.earliest IS NULL OR c.occurred_at + $window >= p.earliest)
      AND NOT EXISTS (
            SELECT 1 FROM core.suppression AS s
            WHERE s.contact_key = c.contact_key AND (s.category IS NULL OR s.category = c.category)
      )
),
-- What the system that recorded a release of everything shows as opted out all the same.
kept AS (
    SELECT o.system, o.contact_key, bit_or(o.category_outs) AS categories
    FROM rec_observation AS o
    WHERE o.category_outs <> 0
      AND o.contact_key IN (SELECT contact_key FROM later WHERE bit = 0 AND is_explicit)
    GROUP BY o.system, o.contact_key
),
suppressed AS (
    SELECT s.contact_key, bit_or(k.bit) AS categories
    FROM core.suppression AS s
    JOIN rec_category AS k ON k.category = s.category
    GROUP BY s.contact_key
)
SELECT
    l.*,
    CASE WHEN l.bit = 0 THEN coalesce(k.categories, 0) | coalesce(s.categories, 0)
         ELSE 0 END AS kept
FROM later AS l
LEFT JOIN kept AS k ON k.system = l.system AND k.contact_key = l.contact_key
LEFT JOIN suppressed AS s ON s.contact_key = l.contact_key;
