-- What was judged on other reads of this night is no basis for the next one (optout.warehouse.incremental).
DELETE FROM audit.basis WHERE night >= $night;

-- That the night's rows are loaded, and where each stream goes on, in the same transaction.
INSERT OR REPLACE INTO core.source_read BY NAME
SELECT * EXCLUDE (state) FROM raw.manifest WHERE system = $system;

INSERT OR REPLACE INTO core.source_state BY NAME
SELECT system, stream, night, state
FROM raw.manifest
WHERE system = $system AND is_complete AND state IS NOT NULL;
