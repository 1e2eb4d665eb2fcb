-- Of everybody else the verdicts are those of the last judged night. What could not be compared then
-- cannot now, and keeps its older drifts open (audit_drift): it is said again as a verdict.
INSERT INTO rec_verdict (
    class, system, category, contact_key, expected, actual, reason, store,
    decided_system, decided_at, decided_source, is_moved
)
SELECT
    class, system, category, contact_key, expected, actual, reason, store,
    decided_system, decided_at, decided_source, false
FROM audit.drift
WHERE closed_night IS NULL AND seen_night = $last AND class = 'not_comparable'
  AND contact_key NOT IN (SELECT contact_key FROM rec_affected);

UPDATE audit.drift
SET seen_before = seen_night, seen_night = $night
WHERE closed_night IS NULL AND seen_night = $last AND class <> 'not_comparable'
  AND contact_key NOT IN (SELECT contact_key FROM rec_affected);
