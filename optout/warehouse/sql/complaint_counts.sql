-- People who complained and messages that arrived, by system and over all. A vendor that tells of no
-- delivery tells of sends and bounces.
WITH mail AS (
    SELECT
        system,
        count(*) FILTER (kind = 'delivered') AS delivered,
        count(*) FILTER (kind = 'sent') - count(*) FILTER (kind = 'bounced') AS accepted
    FROM core.mail_event
    WHERE kind IN ('sent', 'delivered', 'bounced') AND occurred_at > $since AND occurred_at <= $cutoff
    GROUP BY system
),
complaint AS (
    SELECT system, count(DISTINCT contact_key) AS people
    FROM core.mail_event
    WHERE kind = 'complained' AND occurred_at > $since AND occurred_at <= $cutoff
    GROUP BY system
)
SELECT
    coalesce(m.system, c.system) AS system,
    CAST(sum(coalesce(c.people, 0)) AS BIGINT),
    CAST(sum(CASE WHEN m.delivered > 0 THEN m.delivered ELSE coalesce(m.accepted, 0) END) AS BIGINT)
FROM mail AS m
FULL JOIN complaint AS c ON c.system = m.system
GROUP BY GROUPING SETS ((coalesce(m.system, c.system)), ());
