-- The affected people as they are tonight.
CREATE OR REPLACE TEMP VIEW rec_observation AS SELECT * FROM rec_near WHERE is_current;

CREATE OR REPLACE TEMP VIEW rec_change AS SELECT * FROM rec_near_change;

DELETE FROM audit.expected WHERE contact_key IN (SELECT contact_key FROM rec_affected);
