-- What feeds told of each change, several pieces of evidence joined into one unit.
-- A holder is whose field changed: a record of the hub, a person elsewhere.

CREATE OR REPLACE TEMP TABLE trail_told AS
SELECT
    c.change_id, c.change_seq, c.system, s.is_hub, c.night, c.feed, c.contact_key,
    CASE WHEN s.is_hub THEN concat_ws('/', c.store, c.record_id)
         ELSE c.contact_key::VARCHAR END AS holder,
    CASE WHEN s.is_hub THEN '' ELSE concat_ws('/', c.store, c.record_id) END AS place_in,
    coalesce(c.category, '*') AS field,
    CASE WHEN c.category IS NULL AND c.new_state = 'not_set' THEN 'opted_in' ELSE c.new_state
    END AS new,
    CASE WHEN c.category IS NULL AND c.old_state = 'not_set' THEN 'opted_in' ELSE c.old_state
    END AS old,
    c.time_kind = 'source' AS is_dated, c.occurred_at AS told_at, c.occurred_from AS told_from,
    coalesce(c.received_at, c.occurred_at) AS written_at, c.source,
    h.change_id IS NOT NULL OR NOT s.is_hub AS is_entry,
    h.position, h.missing,
    CASE WHEN s.is_hub AND c.feed = $history_feed THEN c.position END AS told_position
FROM core.change AS c
JOIN trail_system AS s ON s.system = c.system
LEFT JOIN core.history_entry AS h
    ON s.is_hub AND h.system = c.system AND h.change_id = c.change_id
WHERE c.feed NOT IN ('baseline', 'comparison', 'address_change');

-- Dated evidence of one new value within the tolerance is one burst; in it the first of each feed
-- belong together, then the second ones. In the hub, where an entry that is lacking must be told
-- from the one beside it, first what is dated (nearly) alike.
CREATE OR REPLACE TEMP TABLE trail_dated AS
SELECT
    *,
    first_value(change_id) OVER (
        PARTITION BY system, holder, field, new, burst, nth ORDER BY change_seq
    ) AS unit_id
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY system, holder, field, new, burst, feed, place_in
            ORDER BY told_at, position, change_seq
        ) AS nth
    FROM (
        SELECT
            *,
            sum(is_start) OVER (
                PARTITION BY system, holder, field, new ORDER BY told_at, change_seq
            ) AS burst
        FROM (
            SELECT
                *,
                CASE WHEN told_at - lag(told_at) OVER (
                    PARTITION BY system, holder, field, new ORDER BY told_at, change_seq
                ) <= CASE WHEN is_hub THEN $skew ELSE $tolerance END THEN 0 ELSE 1 END AS is_start
            FROM trail_told
            WHERE is_dated
        )
    )
);

CREATE OR REPLACE TEMP TABLE trail_unit AS
SELECT
    unit_id, any_value(system) AS system, bool_or(is_hub) AS is_hub, any_value(holder) AS holder,
    any_value(field) AS field, any_value(new) AS new, min(night) AS night,
    arg_min(contact_key, change_seq) AS contact_key,
    coalesce(min(told_at) FILTER (is_entry), min(told_at)) AS occurred_at,
    max(written_at) AS written_at, true AS is_dated,
    bool_or(is_entry) AS has_entry, bool_or(NOT is_entry) AS has_witness,
    min(position) FILTER (is_entry) AS position, min(told_position) AS told_position,
    coalesce(any_value(old) FILTER (is_entry), any_value(old)) AS old, any_value(missing) FILTER (is_entry) AS missing,
    coalesce(
        arg_min(source, change_seq) FILTER (is_entry),
        arg_min(source, change_seq) FILTER (source <> 'unknown'), 'unknown'
    ) AS source
FROM trail_dated
GROUP BY unit_id
UNION ALL
SELECT
    t.change_id, t.system, t.is_hub, t.holder, t.field, t.new, t.night, t.contact_key,
    CASE WHEN t.is_hub THEN NULL ELSE t.told_at END, NULL, false, t.is_entry, NOT t.is_entry,
    t.position, t.told_position, t.old,
    CASE WHEN t.is_hub THEN t.missing ELSE 'at' END, t.source
FROM trail_told AS t
WHERE NOT t.is_dated
  AND (t.is_hub OR NOT EXISTS (
        -- A bound of an ESP that a dated piece of evidence lies in tells of the same act.
        SELECT 1 FROM trail_dated AS d
        WHERE d.system = t.system AND d.holder = t.holder AND d.field = t.field AND d.new = t.new
          AND d.told_at <= t.told_at AND (t.told_from IS NULL OR d.told_at > t.told_from)
  ));

-- The rest of what is dated, within the tolerance. Two entries are two changes, also where one of
-- them has been taken out.
CREATE OR REPLACE TEMP TABLE trail_pair AS
WITH lone AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY system, holder, field, new, burst, has_entry
            ORDER BY occurred_at, position, unit_id
        ) AS nth
    FROM (
        SELECT
            *,
            sum(is_start) OVER (
                PARTITION BY system, holder, field, new ORDER BY occurred_at, unit_id
            ) AS burst
        FROM (
            SELECT
                *,
                CASE WHEN occurred_at - lag(occurred_at) OVER (
                    PARTITION BY system, holder, field, new ORDER BY occurred_at, unit_id
                ) <= $tolerance THEN 0 ELSE 1 END AS is_start
            FROM trail_unit
            WHERE is_hub AND is_dated AND has_entry <> has_witness
              AND (has_entry OR told_position IS NULL)
        )
    )
)
SELECT e.unit_id AS entry_id, w.unit_id AS witness_id, w.written_at
FROM lone AS e
JOIN lone AS w USING (system, holder, field, new, burst, nth)
WHERE e.has_entry AND w.has_witness;

UPDATE trail_unit AS u
SET has_witness = true, written_at = greatest(u.written_at, p.written_at)
FROM trail_pair AS p WHERE u.unit_id = p.entry_id;

DELETE FROM trail_unit WHERE unit_id IN (SELECT witness_id FROM trail_pair);

-- An entry of an act that was written down late, or without a time, and what the hub's other feed
-- told of the same field in the same night: first where both say the same of the value before.
CREATE OR REPLACE TEMP TABLE trail_pair AS
SELECT e.unit_id AS entry_id, w.unit_id AS witness_id, w.occurred_at, w.written_at
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY system, holder, field, old, new, night ORDER BY is_dated, position) AS nth
    FROM trail_unit
    WHERE is_hub AND has_entry AND NOT has_witness
) AS e
JOIN (
    SELECT *, row_number() OVER (
        PARTITION BY system, holder, field, old, new, night ORDER BY written_at, unit_id) AS nth
    FROM trail_unit
    WHERE is_hub AND has_witness AND NOT has_entry AND told_position IS NULL
) AS w USING (system, holder, field, old, new, night, nth)
WHERE NOT e.is_dated
   OR (w.source = 'unknown' AND e.occurred_at <= w.written_at + $tolerance
       AND e.occurred_at > w.written_at - $late);

INSERT INTO trail_pair
SELECT e.unit_id, w.unit_id, w.occurred_at, w.written_at
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY system, holder, field, new, night ORDER BY position) AS nth
    FROM trail_unit
    WHERE is_hub AND has_entry AND NOT has_witness AND NOT is_dated
      AND unit_id NOT IN (SELECT entry_id FROM trail_pair)
) AS e
JOIN (
    SELECT *, row_number() OVER (
        PARTITION BY system, holder, field, new, night ORDER BY written_at, unit_id) AS nth
    FROM trail_unit
    WHERE is_hub AND has_witness AND NOT has_entry AND told_position IS NULL
      AND unit_id NOT IN (SELECT witness_id FROM trail_pair)
) AS w USING (system, holder, field, new, night, nth);

UPDATE trail_unit AS u
SET has_witness = true, written_at = p.written_at,
    occurred_at = coalesce(u.occurred_at, p.occurred_at)
FROM trail_pair AS p WHERE u.unit_id = p.entry_id;

DELETE FROM trail_unit WHERE unit_id IN (SELECT witness_id FROM trail_pair);
