-- Mail is allowed today, will not be soon, and the person has not opted out of the category.
SELECT c.contact_key, k.category, c.basis, c.last_safe_day, c.days_left, c.jurisdiction
FROM audit.consent AS c
JOIN mart.category AS k ON (c.opted_out & k.bit) = 0
JOIN audit.audience AS a ON a.contact_key = c.contact_key AND (((a.word >> 48) | (a.word >> 12)) & k.bit) <> 0
WHERE c.days_left BETWEEN 0 AND $days
ORDER BY c.days_left, c.contact_key, k.category;
