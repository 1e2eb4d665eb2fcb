-- Where rows and commitments do not belong together; the links themselves are checked in order.
SELECT f.what, f.change_seq, f.night, f.link_seq
FROM (
    SELECT
        CASE
            WHEN k.salt IS NULL AND r.change_seq IS NOT NULL THEN 'altered'
            WHEN k.salt IS NULL AND e.change_seq IS NULL THEN 'removed'
            WHEN k.salt IS NULL THEN NULL
            WHEN r.change_seq IS NULL THEN 'removed'
            WHEN unhex(sha256(k.salt || r.body)) <> k.commitment THEN 'altered'
        END AS what,
        k.change_seq, k.night, k.link_seq
    FROM core.change_commitment AS k
    LEFT JOIN trail_canonical AS r ON r.change_seq = k.change_seq
    LEFT JOIN trail_erased AS e ON e.change_seq = k.change_seq
    WHERE k.kind = 'change'
    UNION ALL
    SELECT 'altered', NULL, k.night, k.link_seq
    FROM core.change_commitment AS k
    WHERE k.kind <> 'change'
      AND (k.salt IS NULL OR k.content IS NULL OR k.change_seq IS NOT NULL
           OR unhex(sha256(k.salt || encode(k.content))) <> k.commitment)
    UNION ALL
    SELECT 'inserted', c.change_seq, c.night, NULL
    FROM core.change AS c
    WHERE NOT EXISTS (
        SELECT 1 FROM core.change_commitment AS k
        WHERE k.kind = 'change' AND k.change_seq = c.change_seq
    )
    UNION ALL
    SELECT 'inserted', d.change_seq, min(d.night), NULL
    FROM core.change AS d
    GROUP BY d.change_seq
    HAVING count(*) > 1
    UNION ALL
    SELECT 'altered', c.change_seq, c.night, NULL
    FROM core.change AS c
    WHERE c.contact_key IN (SELECT contact_key FROM trail_stranger)
) AS f
WHERE f.what IS NOT NULL
ORDER BY coalesce(f.change_seq, f.link_seq), f.link_seq NULLS LAST
LIMIT $most;
