-- One in 200 people changes before the next night: an opt-out or the way back in one ESP, told by
-- its record and by an event. A tenth of the events bear an older time than what is known, another
-- tenth the very same; a fiftieth of the records were touched after the cut-off.
CREATE OR REPLACE TEMP TABLE world_changed AS
SELECT
    *, $cutoff - CASE WHEN d % 10 = 0 THEN INTERVAL 900 DAY WHEN d % 10 = 1 THEN INTERVAL 1 DAY
                      ELSE (d % 80000) * INTERVAL 1 SECOND END AS acted_at
FROM (
    SELECT
        contact_key, md5_number_lower($seed || '|next|' || contact_key) AS d,
        CASE (md5_number_lower($seed || '|where|' || contact_key)) % 4
            WHEN 0 THEN 'mailchimp' WHEN 1 THEN 'sendgrid' WHEN 2 THEN 'klaviyo' ELSE 'hubspot'
        END AS system,
        CAST(power(2, md5_number_lower($seed || '|what|' || contact_key) % 4) AS INTEGER) AS bit
    FROM core.identity
    WHERE md5_number_lower($seed || '|next|' || contact_key) % 200 = 7
) AS drawn;

CREATE OR REPLACE TEMP TABLE world_former AS
SELECT o.*, w.bit, w.d
FROM core.observation AS o
JOIN world_changed AS w ON w.contact_key = o.contact_key AND w.system = o.system
WHERE o.night_to IS NULL AND o.store = 'audience:1' AND NOT ends_with(o.record_id, '-twice');

UPDATE core.observation AS o
SET night_to = $night
FROM world_former AS f
WHERE o.night_to IS NULL AND o.system = f.system AND o.store = f.store AND o.record_id = f.record_id;

INSERT INTO core.observation BY NAME
SELECT
    * EXCLUDE (bit, d) REPLACE (
        xor(outs, bit) AS outs, xor(category_outs, bit) AS category_outs,
        15 - xor(outs, bit) AS ins, 15 - xor(outs, bit) AS sends, 0 AS weak_outs,
        $cutoff - INTERVAL 23 HOUR AS seen_after, $cutoff + INTERVAL 1 HOUR AS valid_from,
        $cutoff + CASE WHEN d % 50 = 3 THEN INTERVAL 10 MINUTE ELSE INTERVAL (-2) HOUR END AS modified_at,
        CAST($night AS DATE) AS night_from
    )
FROM world_former;

INSERT INTO core.change BY NAME
SELECT
    (SELECT max(change_seq) FROM core.change) + row_number() OVER () AS change_seq,
    CAST(md5($seed || '|next change|' || w.contact_key) AS UUID) AS change_id, $night AS night,
    w.system, 'event' AS feed, w.contact_key, k.category,
    CASE WHEN (f.outs & w.bit) = 0 THEN 'opted_out' ELSE 'opted_in' END AS new_state,
    w.acted_at AS occurred_at, w.acted_at AS occurred_from, 'source' AS time_kind,
    w.acted_at AS recorded_at, 'preference_center' AS source, true AS is_explicit
FROM world_changed AS w
JOIN world_former AS f ON f.contact_key = w.contact_key
JOIN world_category AS k ON k.bit = w.bit;
