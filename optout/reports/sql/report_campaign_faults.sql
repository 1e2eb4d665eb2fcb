-- Campaigns sent in the period that lack what they must have.
SELECT fault, system, count(*) AS campaigns, max(sent_at) AS last_at
FROM audit.campaign_fault
WHERE CAST(coalesce(sent_at, CAST(night AS TIMESTAMP)) AS DATE) BETWEEN $since AND $until
GROUP BY fault, system
ORDER BY campaigns DESC, fault, system
