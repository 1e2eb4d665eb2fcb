-- What the hub says of everyone.
SELECT category, state, people
FROM mart.preference_daily
WHERE night = $night
ORDER BY category, state
