-- The affected people as they were at the last judged night.
CREATE OR REPLACE TEMP VIEW rec_observation AS SELECT * FROM rec_near WHERE was_current;

CREATE OR REPLACE TEMP VIEW rec_change AS SELECT * FROM rec_near_change WHERE was_known;

CREATE OR REPLACE TEMP TABLE rec_decided AS
SELECT e.contact_key, k.bit, e.state = 'opted_out' AS stands
FROM audit.expected AS e
JOIN rec_category AS k ON k.category = e.category
WHERE e.contact_key IN (SELECT contact_key FROM rec_affected);
