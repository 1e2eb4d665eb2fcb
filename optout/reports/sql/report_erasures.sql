-- Requests for erasure that were carried out in the period.
SELECT CAST(erased_at AS DATE) AS day, count(DISTINCT erasure_id) AS erasures, CAST(sum(removed) AS BIGINT) AS removed,
       CAST(sum(blanked) AS BIGINT) AS blanked
FROM core.erasure
WHERE CAST(erased_at AS DATE) BETWEEN $since AND $until
GROUP BY CAST(erased_at AS DATE)
ORDER BY day
