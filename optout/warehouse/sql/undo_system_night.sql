-- Take back what an earlier attempt at the same night said of the snapshot, so that loading again
-- gives the same rows. Events are append-only and stay: their ids keep them single.
DELETE FROM core.observation WHERE system = $system AND night_from = $night;

UPDATE core.observation SET night_to = NULL, is_deleted = false
WHERE system = $system AND night_to = $night;

DELETE FROM core.finding WHERE system = $system AND night = $night;

DELETE FROM core.source_read WHERE system = $system AND night = $night;
