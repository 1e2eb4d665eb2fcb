-- Who is in which group of a category. Whoever may be mailed is not listed: that list is the ESP's.
SELECT
    a.contact_key,
    CASE WHEN (a.word & c.bit) <> 0 THEN 'opted_out'
         WHEN ((a.word >> 12) & c.bit) <> 0 THEN 'unengaged'
         WHEN ((a.word >> 24) & c.bit) <> 0 THEN 'never_asked'
         ELSE 'undeliverable' END AS status
FROM audit.audience AS a
JOIN mart.category AS c ON c.category = $category
WHERE ((a.word | (a.word >> 12) | (a.word >> 24) | (a.word >> 36)) & c.bit) <> 0
ORDER BY status, a.contact_key
