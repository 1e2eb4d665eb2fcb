-- How long opt-outs of the last 30 days took until every system had stopped: by the upper bound.
SELECT bucket, kind, count(*) AS opt_outs
FROM (
    SELECT CASE WHEN honoured_at IS NULL THEN 'not yet'
                WHEN hours <= 1 THEN 'up to 1 h' WHEN hours <= 6 THEN '1–6 h'
                WHEN hours <= 12 THEN '6–12 h' WHEN hours < 24 THEN '12–24 h'
                WHEN hours <= 48 THEN '24–48 h' WHEN hours <= 120 THEN '2–5 days'
                WHEN hours <= 240 THEN '5–10 days' ELSE 'over 10 days' END AS bucket,
           CASE WHEN is_unseen THEN 'cannot be seen' WHEN is_exact THEN 'real times'
                ELSE 'upper bound' END AS kind
    FROM (
        SELECT *, epoch(honoured_at - occurred_at) / 3600.0 AS hours
        FROM audit.opt_out
        WHERE (is_own OR source = 'unknown') AND time_kind = 'source' AND occurred_at <= $cutoff
          AND occurred_at > $cutoff - INTERVAL 30 DAY
    ) AS o
) AS b
GROUP BY bucket, kind
