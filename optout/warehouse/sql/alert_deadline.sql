-- Open opt-outs by where they are known and where mail still goes out, one row a strict deadline.
SELECT
    o.system AS known_in,
    s.system,
    o.strict_deadline AS deadline,
    count(DISTINCT o.contact_key) AS people,
    list_sort(list(DISTINCT o.category) FILTER (WHERE o.category IS NOT NULL)) AS categories,
    bool_or(o.category IS NULL) AS is_everything,
    min(o.occurred_at)::DATE AS since,
    mode(o.strict_rule) AS strict_rule
FROM audit.opt_out AS o, unnest(string_split(o.open_systems, ',')) AS s (system)
WHERE o.is_open AND o.strict_deadline <= $until AND list_contains($systems, s.system)
GROUP BY ALL
ORDER BY known_in, s.system, deadline;
