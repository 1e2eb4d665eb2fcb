-- Where preferences are written: by which system and source, how much, how late, how well recorded.
SELECT system, source, coalesce(channel, '') AS channel, coalesce(category, 'everything') AS category, changes, people,
       explicit_share, exact_share, hours_median, hours_p95, complete_share, last_at
FROM mart.touchpoint
ORDER BY changes DESC, system, source, channel, category
