-- What everything below looks at: the current readings of people, and what is known to have changed.
CREATE OR REPLACE TEMP VIEW rec_observation AS
SELECT * FROM core.observation WHERE night_to IS NULL AND contact_key IS NOT NULL;

CREATE OR REPLACE TEMP VIEW rec_change AS
SELECT * FROM core.change;

DELETE FROM audit.expected;
