-- Take back what an earlier attempt at the same night did to the drifts.
DELETE FROM audit.drift WHERE opened_night = $night;

UPDATE audit.drift SET closed_night = NULL, closed_at = NULL WHERE closed_night = $night;

UPDATE audit.drift SET seen_night = seen_before WHERE seen_night = $night;

DELETE FROM audit.cell_count WHERE night = $night;
