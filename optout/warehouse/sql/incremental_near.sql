-- What is known of the affected people, now and as of the last judged night: readings are
-- change-only and changes are numbered in the order in which they were recorded. Whole blocks are
-- read for the few rows in each, so that every column costs: the key is carried from the search.
CREATE OR REPLACE TEMP TABLE rec_near_row AS
SELECT rowid AS row_id, contact_key
FROM core.observation
WHERE contact_key IN (SELECT contact_key FROM rec_affected);

CREATE OR REPLACE TEMP TABLE rec_near AS
SELECT
    o.system, o.stream, o.store, o.record_id, r.contact_key, o.ins, o.outs,
    o.category_outs, o.weak_outs, o.sends, o.blocks, o.store_blocks, o.unclear, o.seen_in,
    o.present, o.modified_at, o.seen_after, o.valid_from,
    o.night_to IS NULL AS is_current,
    o.night_from <= $last AND (o.night_to IS NULL OR o.night_to > $last) AS was_current
FROM core.observation AS o
JOIN rec_near_row AS r ON r.row_id = o.rowid;

CREATE OR REPLACE TEMP TABLE rec_near_change AS
SELECT
    change_id, contact_key, system, category, new_state, occurred_at, occurred_from, time_kind,
    source, is_explicit, change_seq <= $last_change AS was_known
FROM core.change
WHERE contact_key IN (SELECT contact_key FROM rec_affected);
