-- Opt-outs that are not honoured, by where the person opted out and where mail still goes out; beside
-- it how many there were after the night before, the nearest strict deadline, and how many were mailed
-- since. A sync's copy in another system is later than the act and decides the state, but who mends it
-- needs the system of the act: the copy's only speaks where no act is known.
WITH open_or_mended AS (
    SELECT row_number() OVER () AS id, d.*
    FROM audit.drift AS d
    WHERE d.class = 'unhonoured_opt_out' AND (d.closed_night IS NULL OR d.closed_night = $night)
      AND list_contains($systems, d.system)
),
act AS (
    SELECT
        d.id,
        arg_min(o.system, o.occurred_at) AS system,
        min(o.strict_deadline) FILTER (
            WHERE o.is_open AND list_contains(string_split(o.open_systems, ','), d.system)
        ) AS deadline
    FROM open_or_mended AS d
    JOIN audit.opt_out AS o
        ON o.contact_key = d.contact_key
       AND (o.category IS NULL OR o.category = d.category)
       AND (o.is_open OR o.honoured_at >= d.opened_at)
    GROUP BY d.id
),
mailed AS (
    SELECT DISTINCT d.id
    FROM open_or_mended AS d
    JOIN audit.violation AS v
        ON v.contact_key = d.contact_key AND v.system = d.system
       AND (v.category IS NULL OR v.category = d.category)
)
SELECT
    coalesce(a.system, d.decided_system, 'unknown') AS known_in,
    d.system,
    count(DISTINCT d.contact_key) FILTER (WHERE d.closed_night IS NULL) AS people,
    count(DISTINCT d.contact_key) FILTER (WHERE d.opened_night < $night) AS previous,
    count(DISTINCT d.contact_key) FILTER (WHERE d.closed_night IS NULL AND d.opened_night = $night) AS fresh,
    min(d.opened_night) FILTER (WHERE d.closed_night IS NULL) AS since,
    list_sort(list(DISTINCT d.category) FILTER (WHERE d.closed_night IS NULL AND d.category IS NOT NULL)) AS categories,
    mode(d.store) FILTER (WHERE d.closed_night IS NULL) AS store,
    min(a.deadline) FILTER (WHERE d.closed_night IS NULL) AS deadline,
    count(DISTINCT d.contact_key) FILTER (WHERE d.closed_night IS NULL AND m.id IS NOT NULL) AS mailed
FROM open_or_mended AS d
LEFT JOIN act AS a USING (id)
LEFT JOIN mailed AS m USING (id)
GROUP BY ALL
HAVING count(*) FILTER (WHERE d.closed_night IS NULL) > 0
ORDER BY known_in, d.system;
