-- Tonight's readings of one system against what was known: `core.observation` is change-only.

CREATE OR REPLACE TEMP TABLE stream_read AS
SELECT stream, read_at, is_snapshot AND is_full AND is_complete AND NOT is_skipped AS is_truth
FROM raw.manifest
WHERE system = $system;

CREATE OR REPLACE TEMP TABLE last_read AS
SELECT stream, max(read_at) AS read_at
FROM core.source_read
WHERE system = $system AND night < $night AND is_complete AND NOT is_skipped
GROUP BY stream;

CREATE OR REPLACE TEMP VIEW tonight_raw AS
SELECT r.* EXCLUDE (stream), coalesce(o.owner, r.stream) AS stream, s.is_truth
FROM raw.reading AS r
JOIN stream_read AS s ON s.stream = r.stream
LEFT JOIN raw.stream_owner AS o
    ON o.system = r.system AND o.stream = r.stream AND starts_with(r.store, o.store_prefix);

-- A complete full read is the truth of its store: what a feed of changes said beside it is older.
CREATE OR REPLACE TEMP TABLE tonight AS
SELECT * EXCLUDE (rank_in_night)
FROM (
    SELECT
        t.*,
        row_number() OVER (
            PARTITION BY t.stream, t.store, t.record_id
            ORDER BY t.is_truth DESC, t.deleted DESC, t.modified_at DESC NULLS LAST,
                     t.part DESC, t.part_row DESC
        ) AS rank_in_night
    FROM tonight_raw AS t
    WHERE t.system = $system
      AND (t.is_truth OR t.stream NOT IN (SELECT stream FROM stream_read WHERE is_truth))
)
WHERE rank_in_night = 1;

CREATE OR REPLACE TEMP TABLE known AS
SELECT k.*
FROM core.observation AS k
WHERE k.system = $system AND k.night_to IS NULL
  AND (
        EXISTS (SELECT 1 FROM stream_read AS s
                WHERE s.stream = k.stream AND s.is_truth)
     OR EXISTS (SELECT 1 FROM tonight AS t
                WHERE t.stream = k.stream AND t.store = k.store AND t.record_id = k.record_id)
  );

-- Records that say something else than before, or are new. A stamp that moved alone is no news.
CREATE OR REPLACE TEMP TABLE news AS
SELECT
    t.*,
    k.record_id IS NOT NULL AS was_known,
    coalesce(k.seen_in, 0) | t.ins | t.sends AS seen_in,
    CASE WHEN k.record_id IS NULL THEN l.read_at
         ELSE greatest(coalesce(l.read_at, k.valid_from), k.valid_from) END AS seen_after
FROM tonight AS t
LEFT JOIN known AS k
    ON k.stream = t.stream AND k.store = t.store AND k.record_id = t.record_id
LEFT JOIN last_read AS l ON l.stream = t.stream
WHERE NOT t.deleted
  AND (
        k.record_id IS NULL
     OR (k.contact_key, k.ins, k.outs, k.category_outs, k.weak_outs, k.sends, k.blocks,
         k.store_blocks, k.unclear, k.global_out, k.undeliverable, k.complained, k.present,
         k.in_explicit, k.in_global)
        IS DISTINCT FROM
        (t.contact_key, t.ins, t.outs, t.category_outs, t.weak_outs, t.sends, t.blocks,
         t.store_blocks, t.unclear, t.global_out, t.undeliverable, t.complained, t.present,
         t.in_explicit, t.in_global)
     OR k.in_at IS DISTINCT FROM t.in_at
     OR k.in_source IS DISTINCT FROM t.in_source
  );

-- Records that are gone: told by a feed, or absent from a complete full read of their store.
CREATE OR REPLACE TEMP TABLE gone AS
SELECT k.stream, k.store, k.record_id
FROM known AS k
JOIN tonight AS t
    ON t.stream = k.stream AND t.store = k.store AND t.record_id = k.record_id
WHERE t.deleted
UNION
SELECT k.stream, k.store, k.record_id
FROM known AS k
JOIN stream_read AS s ON s.stream = k.stream
WHERE s.is_truth
  AND NOT EXISTS (
        SELECT 1 FROM tonight AS t
        WHERE t.stream = k.stream AND t.store = k.store AND t.record_id = k.record_id
  );

-- By EXISTS, not by FROM: rows are changed in the order in which they lie (audit_drift).
UPDATE core.observation AS o
SET night_to = $night, is_deleted = true
WHERE o.system = $system AND o.night_to IS NULL
  AND EXISTS (
        SELECT 1 FROM gone AS g
        WHERE g.stream = o.stream AND g.store = o.store AND g.record_id = o.record_id
  );

UPDATE core.observation AS o
SET night_to = $night
WHERE o.system = $system AND o.night_to IS NULL
  AND EXISTS (
        SELECT 1 FROM news AS n
        WHERE n.was_known
          AND n.stream = o.stream AND n.store = o.store AND n.record_id = o.record_id
  );

INSERT INTO core.observation BY NAME
SELECT
    $system AS system, stream, store, record_id, contact_key, ins, outs, category_outs, weak_outs,
    sends, blocks, store_blocks, unclear, seen_in, global_out, undeliverable, complained, present,
    in_at, in_source, in_explicit, in_global, created_at, modified_at, seen_after,
    read_at AS valid_from, $night AS night_from, NULL AS night_to, false AS is_deleted
FROM news;
