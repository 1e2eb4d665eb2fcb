-- People whose opt-out a system no longer shows, though it did the night before, and of whom it says
-- in or would send instead: by who did it. Whoever was archived or deleted has not moved.
DELETE FROM audit.move WHERE night = $night;

INSERT INTO audit.move
WITH touched AS (
    SELECT DISTINCT system, contact_key FROM core.observation
    WHERE night_to = $night AND contact_key IS NOT NULL AND outs <> 0
),
shown AS (
    SELECT
        o.system, o.contact_key,
        bit_or(CASE WHEN o.night_from < $night AND (o.night_to IS NULL OR o.night_to >= $night)
                    THEN o.outs ELSE 0 END) AS before,
        bit_or(CASE WHEN o.night_from <= $night AND (o.night_to IS NULL OR o.night_to > $night)
                    THEN o.outs ELSE 0 END) AS after,
        bit_or(CASE WHEN o.present AND o.night_from <= $night AND (o.night_to IS NULL OR o.night_to > $night)
                    THEN o.ins | o.sends ELSE 0 END) AS in_now
    FROM core.observation AS o
    JOIN touched AS t ON t.system = o.system AND t.contact_key = o.contact_key
    GROUP BY o.system, o.contact_key
),
moved AS (
    SELECT system, contact_key FROM shown WHERE (before & ~after & in_now) <> 0
),
told AS (
    SELECT
        m.system, m.contact_key,
        coalesce(bool_or(c.is_explicit), false) AS is_personal,
        coalesce(arg_max(c.source, c.occurred_at) FILTER (WHERE c.source <> 'unknown'), 'unknown') AS source
    FROM moved AS m
    LEFT JOIN core.known_change AS c
        ON c.system = m.system AND c.contact_key = m.contact_key AND c.night = $night
       AND c.new_state <> 'opted_out'
    GROUP BY m.system, m.contact_key
)
SELECT
    $night AS night, t.system, t.source, t.is_personal, count(*) AS people,
    (
        SELECT count(DISTINCT contact_key) FROM core.observation AS o
        WHERE o.system = t.system AND o.night_to IS NULL AND o.present
    ) AS everyone
FROM told AS t
GROUP BY t.system, t.source, t.is_personal;
