-- What the hub's history says today of the records that were read tonight, change-only.
CREATE OR REPLACE TEMP TABLE history_read AS
SELECT DISTINCT r.store, r.record_id
FROM raw.reading AS r
WHERE r.system = $system AND NOT r.deleted AND r.contact_key IS NOT NULL
  AND NOT EXISTS (
        -- Without its custom fields a record tells nothing of its history, not that there is none.
        SELECT 1 FROM raw.finding AS f
        WHERE f.system = r.system AND f.code = 'missing_field' AND f.store = r.store
          AND f.record_id = r.record_id
  );

CREATE OR REPLACE TEMP TABLE history_tonight AS
SELECT store, record_id, position, change_id, missing, CAST(NULL AS VARCHAR) AS problem, 0 AS categories
FROM (
    SELECT
        c.*, md5($system || '|' || c.event_id)::UUID AS change_id,
        row_number() OVER (
            PARTITION BY c.event_id ORDER BY c.part DESC, c.part_row DESC
        ) AS rank_in_night
    FROM raw.change AS c
    WHERE c.system = $system AND c.feed = 'history' AND c.contact_key IS NOT NULL
)
WHERE rank_in_night = 1
UNION ALL
SELECT DISTINCT
    f.store, f.record_id, try_cast(regexp_extract(f.detail, '^entry (\d+):', 1) AS INTEGER),
    CAST(NULL AS UUID), CAST(NULL AS VARCHAR), f.code, f.categories
FROM raw.finding AS f
WHERE f.system = $system AND f.field = $history_field AND f.record_id <> '';

CREATE OR REPLACE TEMP TABLE history_same AS
SELECT h.rowid AS known, t.rowid AS fresh
FROM core.history_entry AS h
JOIN history_tonight AS t
    ON t.store = h.store AND t.record_id = h.record_id
   AND t.position IS NOT DISTINCT FROM h.position
   AND t.change_id IS NOT DISTINCT FROM h.change_id
WHERE h.system = $system AND t.missing IS NOT DISTINCT FROM h.missing
  AND t.problem IS NOT DISTINCT FROM h.problem AND t.categories = h.categories;

DELETE FROM core.history_entry AS h
WHERE h.system = $system
  AND h.rowid NOT IN (SELECT known FROM history_same)
  AND EXISTS (SELECT 1 FROM history_read AS r WHERE r.store = h.store AND r.record_id = h.record_id);

INSERT INTO core.history_entry BY NAME
SELECT $system AS system, $night AS night, t.*
FROM history_tonight AS t
WHERE t.rowid NOT IN (SELECT fresh FROM history_same)
  AND EXISTS (SELECT 1 FROM history_read AS r WHERE r.store = t.store AND r.record_id = t.record_id);
