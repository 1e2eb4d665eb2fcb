-- Changes that were recorded on the night: each person, scope and new state once, however many feeds tell
-- of it. Those whose act lies before the night before are late.
SELECT system, coalesce(category, 'everything') AS category, new_state, source, count(*) AS changes,
       count(*) FILTER (WHERE is_explicit) AS explicit, count(*) FILTER (WHERE is_late) AS late,
       count(*) FILTER (WHERE NOT is_exact) AS estimated, CAST(sum(evidence) AS BIGINT) AS evidence
FROM (
    SELECT system, contact_key, category, new_state,
           coalesce(max(source) FILTER (WHERE source <> 'unknown'), 'unknown') AS source,
           bool_or(is_explicit) AS is_explicit, bool_or(time_kind = 'source') AS is_exact,
           max(occurred_at) < CAST($night AS TIMESTAMP) - INTERVAL 1 DAY AS is_late, count(*) AS evidence
    FROM audit.recent_change
    WHERE night = $night
    GROUP BY system, contact_key, category, new_state
) AS act
GROUP BY system, coalesce(category, 'everything'), new_state, source
ORDER BY changes DESC, system, category, new_state, source
