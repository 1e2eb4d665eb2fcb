-- Opt-outs by how they were made, over the last nights.
SELECT coalesce(source, 'unknown') AS source, coalesce(category, 'everything') AS category,
       sum(opt_outs) AS opt_outs
FROM mart.opt_out_rate
WHERE night BETWEEN $first AND $night AND opt_outs > 0
GROUP BY ALL
ORDER BY opt_outs DESC, source, category
