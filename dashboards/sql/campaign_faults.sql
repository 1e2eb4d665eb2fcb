-- Duties that a campaign's content does not fulfil.
SELECT f.sent_at, f.system, f.fault, f.campaign_id, c.name AS campaign
FROM audit.campaign_fault AS f
LEFT JOIN core.campaign AS c ON c.system = f.system AND c.campaign_id = f.campaign_id
WHERE f.night <= $night
ORDER BY f.sent_at DESC NULLS LAST, f.system, f.campaign_id, f.fault
