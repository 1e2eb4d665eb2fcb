-- The first night of each store. What it shows then was so before, as of a stream that was never
-- read completely until that night: it is no change, whatever else changed in that night.
CREATE OR REPLACE TEMP TABLE trail_esp_first AS
SELECT o.system, o.stream, o.store, min(o.night_from) AS night
FROM core.observation AS o
JOIN trail_system AS s ON s.system = o.system AND NOT s.is_hub
GROUP BY ALL;

-- What two nights show to have changed of a person in an ESP, whichever of its stores said so:
-- an opt-out that is held, or not any more, and a yes where there was nothing. Whose records have
-- all been as they are since the system's first night is left out: nothing changed.
CREATE OR REPLACE TEMP TABLE trail_esp_moved AS
SELECT DISTINCT o.system, o.contact_key
FROM core.observation AS o
JOIN (SELECT system, min(night) AS night FROM trail_esp_first GROUP BY system) AS f
    ON f.system = o.system
WHERE o.contact_key IS NOT NULL AND (o.night_to IS NOT NULL OR o.night_from > f.night);

CREATE OR REPLACE TEMP TABLE trail_esp_step AS
SELECT system, contact_key, field, night, sum(outs) AS outs, sum(ins) AS ins, sum(records) AS records
FROM (
    SELECT
        h.system, h.contact_key, h.field, unnest([h.night_from, h.night_to]) AS night,
        unnest([1, -1]) * h.is_out::INTEGER AS outs, unnest([1, -1]) * h.is_in::INTEGER AS ins,
        unnest([1, -1]) AS records
    FROM (
        SELECT
            o.system, o.contact_key, coalesce(f.category, '*') AS field, o.night_from, o.night_to,
            CASE WHEN f.category IS NULL THEN o.global_out
                 ELSE ((o.category_outs & ~o.weak_outs) & f.bit) <> 0
                      OR (o.weak_outs & o.seen_in & f.bit) <> 0 END AS is_out,
            f.category IS NOT NULL AND (o.ins & f.bit) <> 0 AS is_in
        FROM core.observation AS o
        JOIN trail_esp_moved AS m ON m.system = o.system AND m.contact_key = o.contact_key
        CROSS JOIN trail_field AS f
    ) AS h
)
WHERE night IS NOT NULL
GROUP BY system, contact_key, field, night;

CREATE OR REPLACE TEMP TABLE trail_esp_word AS
SELECT
    *, lag(word) OVER w AS before, lag(is_here) OVER w AS was_here
FROM (
    SELECT
        system, contact_key, field, night,
        CASE WHEN sum(outs) OVER v > 0 THEN 'opted_out' WHEN sum(ins) OVER v > 0 THEN 'opted_in'
             ELSE 'not_set' END AS word,
        sum(records) OVER v > 0 AS is_here
    FROM trail_esp_step
    WINDOW v AS (PARTITION BY system, contact_key, field ORDER BY night)
)
WINDOW w AS (PARTITION BY system, contact_key, field ORDER BY night);

-- Between which reads: the last complete one of this system before, and this one.
CREATE OR REPLACE TEMP TABLE trail_esp_night AS
SELECT
    system, night, upto_at,
    last_value(CASE WHEN is_complete THEN read_at END IGNORE NULLS) OVER (
        PARTITION BY system ORDER BY night ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS after_at
FROM (
    SELECT
        system, night, max(coalesce(finished_at, read_at)) AS upto_at, min(read_at) AS read_at,
        bool_and(is_complete) AS is_complete
    FROM core.source_read
    WHERE NOT is_skipped
    GROUP BY system, night
);

CREATE OR REPLACE TEMP TABLE trail_esp_seen AS
SELECT
    md5(concat_ws('|', 'seen', e.system, e.contact_key, e.field, e.night))::UUID AS unit_id,
    e.system, e.contact_key, e.field, e.before AS old,
    CASE WHEN e.field = '*' AND e.word = 'not_set' THEN 'opted_in' ELSE e.word END AS new,
    e.night, n.after_at, n.upto_at
FROM trail_esp_word AS e
JOIN trail_esp_night AS n ON n.system = e.system AND n.night = e.night
WHERE e.was_here AND e.is_here AND e.word <> e.before
  AND NOT (e.before = 'opted_in' AND e.word = 'not_set')
  AND NOT EXISTS (
        SELECT 1 FROM core.observation AS o
        JOIN trail_esp_first AS f
            ON f.system = o.system AND f.stream = o.stream AND f.store = o.store
        WHERE o.system = e.system AND o.contact_key = e.contact_key AND o.night_from = e.night
          AND (o.seen_after IS NULL OR o.night_from = f.night)
  );

-- The vendor's own record may be wider or narrower than the store in which it shows: an
-- unsubscribe from everything closes each list, the last list may close the profile.
INSERT INTO trail_unit BY NAME
SELECT
    s.unit_id, s.system, false AS is_hub, s.contact_key::VARCHAR AS holder, s.field, s.new, s.night,
    s.contact_key, s.upto_at AS occurred_at, s.upto_at AS written_at, false AS is_dated,
    false AS has_entry, true AS has_witness, NULL AS position, NULL AS told_position, s.old,
    NULL AS missing,
    'unknown' AS source
FROM trail_esp_seen AS s
WHERE NOT EXISTS (
    SELECT 1 FROM trail_told AS u
    WHERE u.system = s.system AND u.contact_key = s.contact_key
      AND (u.field = s.field OR u.field = '*' OR s.field = '*')
      AND (u.new = 'opted_out') = (s.new = 'opted_out')
      AND ((u.night = s.night AND NOT u.is_dated)
           OR (coalesce(u.written_at > s.after_at - $tolerance, true) AND u.told_at <= s.upto_at + $tolerance))
);

DELETE FROM trail_unit WHERE NOT is_hub AND is_dated AND occurred_at > $cutoff;
