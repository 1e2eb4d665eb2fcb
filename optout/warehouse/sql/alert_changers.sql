-- People who change their preferences remarkably often, and the last time that one of them did.
SELECT count(*) AS people, coalesce(max(changes), 0) AS most, max(last_at)::DATE AS last_on
FROM audit.frequent_changer;
