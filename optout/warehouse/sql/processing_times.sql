-- Hours from the act to the last system that stopped (system NULL), and to each: quantiles of the lower
-- and of the upper bounds, between which the true one lies. An upper bound that is not known is the
-- greatest of all.
WITH act AS (
    SELECT *
    FROM audit.opt_out
    WHERE (is_own OR source = 'unknown') AND time_kind = 'source'
      AND occurred_at > $since AND occurred_at <= $cutoff
),
bound AS (
    SELECT
        CAST(NULL AS VARCHAR) AS system, is_unseen, is_exact,
        epoch(honoured_from - occurred_at) / 3600.0 AS low,
        epoch(honoured_at - occurred_at) / 3600.0 AS high
    FROM act
    UNION ALL
    SELECT
        e.system, e.is_unseen, coalesce(e.stopped_from = e.stopped_at, false),
        epoch(e.stopped_from - a.occurred_at) / 3600.0,
        epoch(e.stopped_at - a.occurred_at) / 3600.0
    FROM act AS a
    JOIN audit.opt_out_effect AS e ON e.opt_out_id = a.opt_out_id
),
seen AS (
    SELECT system, is_unseen, is_exact, greatest(low, 0) AS low, coalesce(high, 'infinity') AS high
    FROM bound
)
SELECT
    system,
    quantile_disc(low, 0.5) FILTER (NOT is_unseen), quantile_disc(high, 0.5) FILTER (NOT is_unseen),
    quantile_disc(low, 0.95) FILTER (NOT is_unseen), quantile_disc(high, 0.95) FILTER (NOT is_unseen),
    max(low) FILTER (NOT is_unseen), max(high) FILTER (NOT is_unseen),
    count(*) FILTER (NOT is_unseen AND is_exact), count(*) FILTER (NOT is_unseen),
    count(*) FILTER (is_unseen), count(*) FILTER (NOT is_unseen AND isinf(high))
FROM seen
GROUP BY system;
