-- Changes that no vendor told as an event, derived after all systems of a night are loaded.

-- 1. The stamp of a positive word (Mailchimp timestamp_opt, Klaviyo consent_timestamp): an event
--    wherever it can matter, that is, for people of whom an opt-out is known, and when it is new.
CREATE OR REPLACE TEMP TABLE stamped AS
SELECT
    o.system, o.stream, o.store, o.record_id, o.contact_key, o.in_at, o.in_source, o.in_explicit,
    o.seen_after, c.category
FROM core.observation AS o
JOIN category_bit AS c
    ON (o.in_global AND c.category IS NULL) OR (c.category IS NOT NULL AND (o.ins & c.bit) <> 0)
WHERE o.night_to IS NULL AND o.in_at IS NOT NULL AND o.contact_key IS NOT NULL
  AND (
        (o.night_from = $night AND o.seen_after IS NOT NULL AND o.in_at > o.seen_after)
     OR o.contact_key IN (SELECT contact_key FROM core.change WHERE new_state = 'opted_out')
     OR o.contact_key IN (SELECT contact_key FROM core.observation WHERE outs <> 0)
  );

-- 2. Opt-outs that a system holds and that no change of that system explains.
CREATE OR REPLACE TEMP TABLE held AS
SELECT
    o.system, o.stream, o.store, o.record_id, o.contact_key, o.seen_after, o.valid_from,
    o.modified_at, c.category
FROM core.observation AS o
JOIN category_bit AS c
    ON (c.category IS NULL AND o.global_out)
    OR (c.category IS NOT NULL AND ((o.category_outs & ~o.weak_outs) & c.bit) <> 0)
    OR (c.category IS NOT NULL AND (o.weak_outs & o.seen_in & c.bit) <> 0)
WHERE o.night_from = $night AND o.night_to IS NULL AND o.outs <> 0 AND o.contact_key IS NOT NULL;

CREATE OR REPLACE TEMP TABLE latest AS
SELECT system, contact_key, category, max(CASE WHEN new_state = 'opted_out' THEN occurred_at END) AS out_at,
       max(CASE WHEN new_state <> 'opted_out' THEN occurred_at END) AS in_at
FROM core.change
WHERE contact_key IN (SELECT contact_key FROM held) OR contact_key IN (SELECT contact_key FROM stamped)
GROUP BY system, contact_key, category;

CREATE OR REPLACE TEMP TABLE derived AS
SELECT
    md5('in|' || system || '|' || store || '|' || record_id || '|' || coalesce(category, '*') || '|' || in_at)::UUID AS change_id,
    system, 'stamp' AS feed, contact_key, record_id, store, category,
    CAST(NULL AS VARCHAR) AS old_state, 'opted_in' AS new_state, in_at AS occurred_at, in_at AS occurred_from,
    'source' AS time_kind, in_source AS source, in_explicit AS is_explicit,
    CASE WHEN in_explicit THEN 'person' END AS actor
FROM stamped
UNION ALL
SELECT
    md5('out|' || h.system || '|' || h.store || '|' || h.record_id || '|' || coalesce(h.category, '*') || '|' || $night)::UUID,
    h.system, CASE WHEN h.seen_after IS NULL THEN 'baseline' ELSE 'comparison' END,
    h.contact_key, h.record_id, h.store, h.category,
    NULL, 'opted_out',
    CASE WHEN h.modified_at < h.valid_from AND (h.seen_after IS NULL OR h.modified_at > h.seen_after)
         THEN h.modified_at ELSE h.valid_from END,
    CASE WHEN l.in_at > h.seen_after OR h.seen_after IS NULL THEN l.in_at ELSE h.seen_after END,
    'estimated', 'unknown', false, NULL
FROM held AS h
LEFT JOIN latest AS l
    ON l.system = h.system AND l.contact_key = h.contact_key
   AND l.category IS NOT DISTINCT FROM h.category
WHERE l.out_at IS NULL OR l.in_at > l.out_at;

-- 3. An opt-in seen only by comparing two nights. It is the person's act only if the hub's own
--    record says that its last update, within the same interval, was (rule 3: nothing else lifts).
INSERT INTO derived BY NAME
SELECT
    md5('cmp|' || o.system || '|' || o.store || '|' || o.record_id || '|' || coalesce(c.category, '*') || '|' || $night)::UUID AS change_id,
    o.system, 'comparison' AS feed, o.contact_key, o.record_id, o.store, c.category,
    'opted_out' AS old_state,
    CASE WHEN c.category IS NOT NULL AND (o.ins & c.bit) = 0 THEN 'not_set' ELSE 'opted_in' END AS new_state,
    o.valid_from AS occurred_at, o.seen_after AS occurred_from, 'estimated' AS time_kind,
    CASE WHEN p.source IS NULL THEN 'unknown' ELSE p.source END AS source,
    p.source IS NOT NULL AS is_explicit,
    CASE WHEN p.source IS NOT NULL THEN 'person' END AS actor
FROM core.observation AS o
JOIN core.observation AS b
    ON b.system = o.system AND b.stream = o.stream AND b.store = o.store
   AND b.record_id = o.record_id AND b.night_to = o.night_from AND NOT b.is_deleted
JOIN category_bit AS c
    ON (c.category IS NULL AND b.global_out AND NOT o.global_out)
    OR (c.category IS NOT NULL AND (b.category_outs & ~o.category_outs & c.bit) <> 0)
LEFT JOIN core.consent AS g
    ON g.system = o.system AND g.store = o.store AND g.record_id = o.record_id
   AND g.last_updated_at > o.seen_after AND g.last_updated_at <= o.valid_from
LEFT JOIN personal_source AS p ON p.source = g.update_source
WHERE o.night_from = $night AND o.night_to IS NULL AND o.contact_key IS NOT NULL
  AND NOT EXISTS (
        SELECT 1 FROM core.change AS k
        WHERE k.system = o.system AND k.contact_key = o.contact_key
          AND k.category IS NOT DISTINCT FROM c.category
          AND k.new_state <> 'opted_out'
          AND k.occurred_at > coalesce(o.seen_after, k.occurred_at - INTERVAL 1 SECOND)
  );

-- 4. An address was changed on a record: what stands for the old address follows to the new one.
--    Opt-ins do not: the new address never gave them.
INSERT INTO derived BY NAME
SELECT DISTINCT ON (change_id)
    md5('adr|' || k.change_id || '|' || o.contact_key)::UUID AS change_id,
    k.system, 'address_change' AS feed, o.contact_key, k.record_id, k.store, k.category,
    k.old_state, k.new_state, k.occurred_at, k.occurred_from, k.time_kind, k.source, k.is_explicit,
    k.actor
FROM core.observation AS o
JOIN core.observation AS b
    ON b.system = o.system AND b.stream = o.stream AND b.store = o.store
   AND b.record_id = o.record_id AND b.night_to = o.night_from
   AND b.contact_key <> o.contact_key
JOIN core.change AS k ON k.contact_key = b.contact_key AND k.new_state = 'opted_out'
WHERE $follow_address_change AND o.night_from = $night AND o.night_to IS NULL
  AND NOT EXISTS (
        SELECT 1 FROM core.change AS i
        WHERE i.contact_key = k.contact_key AND i.new_state = 'opted_in' AND i.is_explicit
          AND (i.category IS NULL OR i.category = k.category)
          AND i.occurred_from > k.occurred_at
  );

INSERT INTO core.change BY NAME
SELECT
    (SELECT coalesce(max(change_seq), 0) FROM core.change_number)
        + row_number() OVER (ORDER BY d.occurred_at, d.change_id) AS change_seq,
    d.*, $night AS night, $recorded_at AS recorded_at, $run_id AS run_id
FROM (SELECT DISTINCT ON (change_id) * FROM derived) AS d
WHERE NOT EXISTS (SELECT 1 FROM core.change AS c WHERE c.change_id = d.change_id);
