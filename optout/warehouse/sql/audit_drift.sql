-- Tonight's verdicts of the judged systems against the open drifts.
UPDATE audit.drift AS d
SET seen_before = d.seen_night, seen_night = $night,
    expected = v.expected, actual = v.actual, reason = v.reason, store = v.store,
    decided_system = v.decided_system, decided_at = v.decided_at, decided_source = v.decided_source
FROM rec_verdict AS v
WHERE d.closed_night IS NULL
  AND v.class = d.class AND v.system = d.system AND v.contact_key = d.contact_key
  AND coalesce(v.category, '') = coalesce(d.category, '');

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
      AND d.class = v.class AND d.system = v.system AND d.contact_key = v.contact_key
      AND coalesce(d.category, '') = coalesce(v.category, '')
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
SELECT night, system, category, expected_out, actual, known, class, CAST(sum(people) AS BIGINT)
FROM (
    SELECT
        $night AS night, c.system, k.category, (c.owing & k.bit) <> 0 AS expected_out,
        CASE WHEN (c.mailable & k.bit) <> 0 THEN 'mailable'
             WHEN (c.held & k.bit) <> 0 THEN 'opted_out'
             WHEN c.present THEN 'neither' ELSE 'absent' END AS actual,
        c.known, NULL AS class, c.people
    FROM (
        SELECT system, mailable, held, owing, known, present, sum(people) AS people
        FROM rec_cell
        WHERE contact_key IS NULL OR NOT present
        GROUP BY system, mailable, held, owing, known, present
    ) AS c
    JOIN rec_system AS s ON s.system = c.system
    JOIN rec_category AS k ON (k.bit & s.mask) <> 0
    UNION ALL
    SELECT
        $night, o.system, o.category, o.is_owing,
        CASE WHEN o.is_mailable THEN 'mailable' WHEN o.is_held THEN 'opted_out' ELSE 'neither' END,
        o.known, v.class, 1
    FROM rec_odd AS o
    LEFT JOIN rec_verdict AS v
        ON v.system = o.system AND v.contact_key = o.contact_key AND v.category = o.category
       AND v.class <> 'conflicting_duplicates'
) AS cell
GROUP BY night, system, category, expected_out, actual, known, class;
