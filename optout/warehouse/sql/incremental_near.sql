-- What is known of the affected people, now and as of the last judged night: readings are
-- change-only and changes are numbered in the order in which they were recorded.
CREATE OR REPLACE TEMP TABLE rec_near_row AS
SELECT rowid AS row_id
FROM core.observation
WHERE contact_key IN (SELECT contact_key FROM rec_affected);

CREATE OR REPLACE TEMP TABLE rec_near AS
SELECT
    system, stream, store, record_id, contact_key, ins, outs, category_outs, weak_outs, sends,
    blocks, store_blocks, unclear, seen_in, present, modified_at, seen_after, valid_from,
    night_to IS NULL AS is_current,
    night_from <= $last AND (night_to IS NULL OR night_to > $last) AS was_current
FROM core.observation
WHERE rowid IN (SELECT row_id FROM rec_near_row);

CREATE OR REPLACE TEMP TABLE rec_near_change AS
SELECT *, change_seq <= $last_change AS was_known
FROM core.change
WHERE contact_key IN (SELECT contact_key FROM rec_affected);
