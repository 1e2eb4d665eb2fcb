-- Opt-outs of the last thirty days and how many certainly took more than a day, by the day on which
-- they became late. What could not be seen counts neither way.
SELECT
    count(*) AS opt_outs,
    count(*) FILTER (WHERE is_late) AS late,
    count(*) FILTER (WHERE is_late AND late_at > $cutoff - INTERVAL 1 DAY) AS late_tonight,
    count(*) FILTER (WHERE is_late AND late_at > $cutoff - INTERVAL 7 DAY) AS late_week
FROM (
    SELECT
        occurred_at + INTERVAL 1 DAY AS late_at,
        CASE WHEN honoured_at IS NULL THEN is_open
             ELSE coalesce(honoured_from, honoured_at) > occurred_at + INTERVAL 1 DAY END AS is_late
    FROM audit.opt_out
    WHERE is_own AND (honoured_at IS NOT NULL OR is_open)
      AND occurred_at + INTERVAL 1 DAY <= $cutoff
      AND occurred_at > $cutoff - INTERVAL 31 DAY
);
