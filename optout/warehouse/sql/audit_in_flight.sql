-- optout.rules.drift.is_in_flight for the differences found: what only a change after the cut-off
-- explains is not comparable tonight.
CREATE OR REPLACE TEMP TABLE rec_in_flight AS
-- A dated change after the cut-off that leads to what the cell shows.
SELECT d.contact_key, d.cell_id
FROM rec_difference AS d
JOIN rec_change AS c ON c.contact_key = d.contact_key AND c.system = d.system
LEFT JOIN rec_category AS k ON k.category = c.category
WHERE c.occurred_at > $cutoff AND c.time_kind = 'source'
  AND (c.category IS NULL OR k.bit = d.bit)
  AND (c.new_state <> 'opted_out') = d.is_mailable
UNION
-- The hub dropped the opt-out after the cut-off.
SELECT d.contact_key, d.cell_id
FROM rec_difference AS d
JOIN rec_change AS c ON c.contact_key = d.contact_key AND c.system = $hub
LEFT JOIN rec_category AS k ON k.category = c.category
WHERE c.occurred_at > $cutoff AND c.time_kind = 'source' AND c.new_state <> 'opted_out'
  AND (c.category IS NULL OR k.bit = d.bit) AND NOT d.is_mailable
UNION
-- An undated change: all causing records are fresh and no dated change led to it before.
SELECT f.contact_key, f.cell_id
FROM (
    SELECT
        d.contact_key, d.cell_id,
        max(CASE WHEN (c.new_state <> 'opted_out') = d.is_mailable THEN c.occurred_at END) AS towards,
        max(CASE WHEN (c.new_state <> 'opted_out') <> d.is_mailable THEN c.occurred_at END) AS away
    FROM rec_difference AS d
    LEFT JOIN (
        SELECT c.system, c.contact_key, c.category, k.bit, c.new_state, c.occurred_at
        FROM rec_change AS c
        LEFT JOIN rec_category AS k ON k.category = c.category
        WHERE c.time_kind = 'source' AND c.occurred_at <= $cutoff
          AND c.contact_key IN (SELECT contact_key FROM rec_cause WHERE is_fresh)
    ) AS c
        ON c.system = d.system AND c.contact_key = d.contact_key
       AND (c.category IS NULL OR c.bit = d.bit)
    WHERE d.is_fresh
    GROUP BY d.contact_key, d.cell_id
) AS f
WHERE f.towards IS NULL OR f.towards < f.away;

CREATE OR REPLACE TEMP TABLE rec_verdict AS
SELECT
    CASE WHEN f.cell_id IS NULL THEN d.class ELSE 'not_comparable' END AS class,
    d.system, d.category, d.contact_key, d.expected, d.actual,
    CASE
        WHEN d.class = 'not_comparable' THEN 'unclear_value'
        WHEN f.cell_id IS NOT NULL THEN 'in_flight'
        WHEN e.reason IS NOT NULL AND (d.class <> 'lost_opt_out' OR e.state = 'opted_out')
            THEN e.reason
        WHEN d.class = 'orphan_mailable' THEN 'no_opt_out'
        ELSE 'opt_out_stands'
    END AS reason,
    d.store, e.decided_system, e.decided_at, e.decided_source,
    d.cell_id, f.cell_id IS NOT NULL AND d.class <> 'not_comparable' AS is_moved
FROM rec_difference AS d
LEFT JOIN rec_in_flight AS f ON f.contact_key = d.contact_key AND f.cell_id = d.cell_id
LEFT JOIN audit.expected AS e ON e.contact_key = d.contact_key AND e.category = d.category;

-- Known to the hub, no record here: of all categories at once.
INSERT INTO rec_verdict (class, system, contact_key, actual, is_moved)
SELECT 'missing_here', system, contact_key, 'absent', false
FROM rec_person
WHERE is_missing;
