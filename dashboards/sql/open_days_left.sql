-- Open opt-outs by the business days that are left to the strict deadline.
SELECT CASE WHEN business_days_left < 0 THEN -1 WHEN business_days_left > 10 THEN 11 ELSE business_days_left END
           AS days_left,
       count(*) AS opt_outs
FROM audit.opt_out
WHERE is_open
GROUP BY days_left
ORDER BY days_left
