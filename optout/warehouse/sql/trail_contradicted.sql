-- Where a read shows another value than the last change before it left behind.
CREATE OR REPLACE TEMP TABLE trail_contradicted AS
WITH real AS (
    SELECT
        p.*,
        coalesce(
            lag(p.new) OVER (PARTITION BY p.system, p.holder, p.field ORDER BY p.place),
            CASE WHEN p.field = '*' THEN 'opted_in' ELSE 'not_set' END
        ) AS prior
    FROM trail_place AS p
    WHERE p.unit_id NOT IN (SELECT unit_id FROM trail_phantom)
),
checked AS (
    SELECT
        system, holder, field, night,
        max(max(place)) OVER (PARTITION BY system, holder, field ORDER BY night) AS place
    FROM (
        SELECT system, holder, field, night, place FROM real
        UNION ALL
        SELECT system, holder, field, night_from, NULL
        FROM trail_version
        WHERE is_first AND word <> CASE WHEN field = '*' THEN 'opted_in' ELSE 'not_set' END
    )
    GROUP BY system, holder, field, night
)
SELECT
    c.system, c.holder, c.field, v.word, x.next_night AS night, v.valid_from, v.contact_key,
    l.unit_id AS last_id, l.order_at,
    coalesce(l.has_entry AND NOT l.has_witness AND (l.old = v.word OR l.prior = v.word), false)
        AS is_phantom
FROM checked AS c
JOIN trail_version AS v
    ON v.system = c.system AND v.holder = c.holder AND v.field = c.field
JOIN trail_next AS x
    ON x.system = v.system AND x.stream = v.stream AND x.night = c.night
   AND x.next_night >= v.night_from AND (v.night_to IS NULL OR x.next_night < v.night_to)
LEFT JOIN real AS l
    ON l.system = c.system AND l.holder = c.holder AND l.field = c.field AND l.place = c.place
WHERE v.word <> coalesce(l.new, CASE WHEN c.field = '*' THEN 'opted_in' ELSE 'not_set' END)
QUALIFY row_number() OVER (
    PARTITION BY c.system, c.holder, c.field, l.unit_id ORDER BY x.next_night) = 1;

INSERT INTO trail_phantom SELECT last_id FROM trail_contradicted WHERE is_phantom;

SELECT count(*) FROM trail_contradicted WHERE is_phantom;
