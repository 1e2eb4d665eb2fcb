-- What a campaign's content shows to be missing; what the vendor does not show is no fault. A merge
-- tag stands for something that cannot be judged here.
DELETE FROM audit.campaign_fault;

INSERT INTO audit.campaign_fault
WITH sender AS (
    SELECT
        *,
        coalesce(from_address, '') LIKE '%{%' OR coalesce(from_address, '') LIKE '%*|%' AS from_tag,
        coalesce(reply_to, '') LIKE '%{%' OR coalesce(reply_to, '') LIKE '%*|%' AS reply_tag,
        lower(split_part(from_address, '@', -1)) AS from_domain,
        lower(split_part(reply_to, '@', -1)) AS reply_domain
    FROM core.campaign
    WHERE NOT transactional AND (sent_at IS NULL OR sent_at <= $cutoff)
),
fault AS (
    SELECT system, campaign_id, sent_at, 'no_unsubscribe' AS fault
    FROM sender WHERE has_unsubscribe = false
    UNION ALL
    SELECT system, campaign_id, sent_at, 'no_postal_address'
    FROM sender WHERE has_postal_address = false
    UNION ALL
    SELECT system, campaign_id, sent_at, 'no_list_unsubscribe'
    FROM sender WHERE has_list_unsubscribe = false
    UNION ALL
    SELECT system, campaign_id, sent_at, 'bad_from'
    FROM sender
    WHERE from_address IS NOT NULL AND NOT from_tag
      AND (NOT regexp_full_match(trim(from_address), '[^@\s]+@[^@\s]+\.[^@\s]+')
           OR ($has_domains AND from_domain NOT IN (SELECT domain FROM clk_domain)))
    UNION ALL
    SELECT system, campaign_id, sent_at, 'bad_reply_to'
    FROM sender
    WHERE reply_to IS NOT NULL AND trim(reply_to) <> '' AND NOT reply_tag
      AND (NOT regexp_full_match(trim(reply_to), '[^@\s]+@[^@\s]+\.[^@\s]+')
           OR ($has_domains AND reply_domain NOT IN (SELECT domain FROM clk_domain)))
)
SELECT system, campaign_id, fault, sent_at, $night FROM fault;
