-- Opt-outs heard of in one system on the day before a night, minute by minute.
SELECT date_trunc('minute', occurred_at) AS minute, source, count(*) AS opt_outs
FROM audit.opt_out
WHERE system = $system AND occurred_at > $since AND occurred_at <= $until
GROUP BY minute, source
ORDER BY minute, source
