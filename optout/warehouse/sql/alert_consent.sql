-- People by regime and by what mail to them could rest on; `mailable`: some system would mail them.
SELECT
    c.regime, c.status,
    count(*) AS people,
    count(*) FILTER (WHERE (a.word >> 48) <> 0) AS mailable,
    min(c.last_safe_day) AS last_safe_day,
    list_sort(list(DISTINCT c.basis) FILTER (WHERE c.basis IS NOT NULL)) AS bases
FROM audit.consent AS c
LEFT JOIN audit.audience AS a ON a.contact_key = c.contact_key
GROUP BY c.regime, c.status
ORDER BY c.regime, c.status;
