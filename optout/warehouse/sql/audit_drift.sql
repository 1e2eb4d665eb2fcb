-- Tonight's verdicts of the judged systems against the open drifts. Most say what they said last night:
-- rows that a join finds are changed in the order of the join, which costs DuckDB fifty times as much
-- as a scan does, so that only what differs is changed in that way.
UPDATE audit.drift AS d
SET expected = v.expected, actual = v.actual, reason = v.reason, store = v.store,
    decided_system = v.decided_system, decided_at = v.decided_at, decided_source = v.decided_source
FROM rec_verdict AS v
WHERE d.closed_night IS NULL
  AND v.contact_key = d.contact_key AND v.class = d.class AND v.system = d.system
  AND v.category IS NOT DISTINCT FROM d.category
  AND (
        v.expected IS DISTINCT FROM d.expected OR v.actual IS DISTINCT FROM d.actual
     OR v.reason IS DISTINCT FROM d.reason OR v.store IS DISTINCT FROM d.store
     OR v.decided_system IS DISTINCT FROM d.decided_system
     OR v.decided_at IS DISTINCT FROM d.decided_at
     OR v.decided_source IS DISTINCT FROM d.decided_source
  );

UPDATE audit.drift AS d
SET seen_before = d.seen_night, seen_night = $night
WHERE d.closed_night IS NULL
  AND EXISTS (
        SELECT 1 FROM rec_verdict AS v
        WHERE v.contact_key = d.contact_key AND v.class = d.class AND v.system = d.system
          AND v.category IS NOT DISTINCT FROM d.category
  );

INSERT INTO audit.drift (
    class, system, category, contact_key, expected, actual, reason, store,
    decided_system, decided_at, decided_source, opened_night, opened_at, seen_night
)
SELECT
    v.class, v.system, v.category, v.contact_key, v.expected, v.actual, v.reason, v.store,
    v.decided_system, v.decided_at, v.decided_source, $night, $cutoff, $night
FROM rec_verdict AS v
WHERE NOT EXISTS (
    SELECT 1 FROM audit.drift AS d
    WHERE d.closed_night IS NULL
      AND d.contact_key = v.contact_key AND d.class = v.class AND d.system = v.system
      AND d.category IS NOT DISTINCT FROM v.category
);

-- Gone, unless the cell could not be compared tonight: what was not looked at is not over.
UPDATE audit.drift AS d
SET closed_night = $night, closed_at = $cutoff
WHERE d.closed_night IS NULL AND d.seen_night < $night
  AND d.system IN (SELECT system FROM rec_judged)
  AND NOT EXISTS (
        SELECT 1 FROM rec_verdict AS v
        WHERE v.class = 'not_comparable' AND v.system = d.system
          AND v.contact_key = d.contact_key AND v.category = d.category
  );

-- How many people show what, per cell: numerators and denominators of every promise.
INSERT INTO audit.cell_count (
    night, system, category, expected_out, actual, known, class, people
)
SELECT $night, system, category, is_owing, actual, known, class, CAST(sum(people) AS BIGINT)
FROM (
    SELECT system, category, is_owing, actual, known, class, people
    FROM rec_cell
    UNION ALL
    SELECT c.system, c.category, c.is_owing, c.actual, c.known, m.class, m.people
    FROM rec_cell AS c
    JOIN (
        SELECT cell_id, 'not_comparable' AS class, count(*) AS people
        FROM rec_verdict WHERE is_moved GROUP BY cell_id
    ) AS m ON m.cell_id = c.cell_id
    UNION ALL
    SELECT c.system, c.category, c.is_owing, c.actual, c.known, c.class, -m.people
    FROM rec_cell AS c
    JOIN (
        SELECT cell_id, count(*) AS people FROM rec_verdict WHERE is_moved GROUP BY cell_id
    ) AS m ON m.cell_id = c.cell_id
) AS cell
GROUP BY system, category, is_owing, actual, known, class
HAVING sum(people) <> 0;
