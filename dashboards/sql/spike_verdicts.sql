-- How many series were judged tonight, and what was said.
SELECT dimension, count(*) FILTER (WHERE kind = 'normal') AS normal,
       count(*) FILTER (WHERE kind = 'too_little_to_tell') AS too_little,
       count(*) FILTER (WHERE kind NOT IN ('normal', 'too_little_to_tell')) AS flagged
FROM audit.spike
WHERE night = $night
GROUP BY dimension
ORDER BY dimension
