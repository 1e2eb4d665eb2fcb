-- People of whom a verdict may differ from the one of the last judged night: what is known of them
-- has changed, or is dated after that night's cut-off, so that a later one sees it otherwise.
CREATE OR REPLACE TEMP TABLE rec_affected AS
SELECT contact_key FROM core.observation WHERE night_from > $last AND contact_key IS NOT NULL
UNION
SELECT contact_key FROM core.observation WHERE night_to > $last AND contact_key IS NOT NULL
UNION
SELECT contact_key FROM core.observation
WHERE modified_at > $last_cutoff AND valid_from > $last_cutoff AND contact_key IS NOT NULL
UNION
SELECT contact_key FROM core.observation
WHERE seen_after > $last_cutoff AND contact_key IS NOT NULL
UNION
SELECT contact_key FROM core.change WHERE change_seq > $last_change
UNION
SELECT contact_key FROM core.change WHERE occurred_at > $last_cutoff AND time_kind = 'source'
UNION
SELECT contact_key FROM core.change WHERE occurred_from > $last_cutoff AND time_kind <> 'source'
UNION
SELECT contact_key FROM core.suppression;
