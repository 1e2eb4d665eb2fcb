-- The changes themselves; keys, no addresses.
SELECT occurred_at, time_kind, contact_key, system, coalesce(category, 'everything') AS category,
       string_agg(DISTINCT old_state, ', ' ORDER BY old_state) AS old_state, new_state,
       coalesce(max(source) FILTER (WHERE source <> 'unknown'), 'unknown') AS source,
       bool_or(is_explicit) AS is_explicit,
       string_agg(DISTINCT feed, ', ' ORDER BY feed) AS feeds
FROM audit.recent_change
WHERE night = $night
GROUP BY occurred_at, time_kind, contact_key, system, coalesce(category, 'everything'), new_state
ORDER BY occurred_at, contact_key, system, category, new_state
