-- The life of each drift: confirmed, opened, closed.
UPDATE audit.drift AS d
SET seen_before = d.seen_night, seen_night = $night, expected = v.expected, actual = v.actual,
    reason = v.reason, store = v.store, decided_system = v.decided_system,
    decided_at = v.decided_at, decided_source = v.decided_source
FROM f_found AS v
WHERE d.closed_night IS NULL AND v.contact_key = d.contact_key AND v.class = d.class
  AND v.system = d.system AND v.category IS NOT DISTINCT FROM d.category;

INSERT INTO audit.drift
SELECT class, system, category, contact_key, expected, actual, reason, store, decided_system,
       decided_at, decided_source, $night, $cutoff, $night, NULL, NULL, NULL
FROM f_found AS v
WHERE NOT EXISTS (
    SELECT 1 FROM audit.drift AS d
    WHERE d.closed_night IS NULL AND v.contact_key = d.contact_key AND v.class = d.class
      AND v.system = d.system AND v.category IS NOT DISTINCT FROM d.category
);

UPDATE audit.drift AS d
SET closed_night = $night, closed_at = $cutoff
WHERE closed_night IS NULL AND seen_night < $night
  AND NOT EXISTS (
        SELECT 1 FROM f_found AS v
        WHERE v.class = 'not_comparable' AND v.contact_key = d.contact_key AND v.system = d.system
          AND v.category = d.category
  );
