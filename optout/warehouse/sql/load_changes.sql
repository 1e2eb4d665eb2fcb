-- An IP keeps its network only: purpose and retention of a full one would have to be shown (GDPR 5).
CREATE OR REPLACE TEMP MACRO truncated_ip(ip) AS CASE
    WHEN ip IS NULL OR trim(ip) = '' THEN NULL
    WHEN contains(ip, ':') THEN
        split_part(ip, ':', 1) || ':' || split_part(ip, ':', 2) || ':' || split_part(ip, ':', 3)
            || '::'
    ELSE regexp_replace(trim(ip), '\.[0-9]+$', '.0')
END;

-- Changes told by the vendor: each once, however many feeds' pages repeat it.
CREATE OR REPLACE TEMP TABLE told AS
SELECT * EXCLUDE (rank_in_night)
FROM (
    SELECT
        md5($system || '|' || c.event_id)::UUID AS change_id,
        c.*,
        row_number() OVER (
            PARTITION BY c.event_id ORDER BY c.part DESC, c.part_row DESC
        ) AS rank_in_night
    FROM raw.change AS c
    WHERE c.system = $system AND c.contact_key IS NOT NULL
)
WHERE rank_in_night = 1;

INSERT INTO core.change BY NAME
SELECT
    (SELECT coalesce(max(change_seq), 0) FROM core.change_number)
        + row_number() OVER (ORDER BY t.occurred_at, t.change_id) AS change_seq,
    t.change_id, $night AS night, $system AS system, t.feed, t.contact_key, t.record_id, t.store,
    t.category, t.old AS old_state, t.new AS new_state,
    coalesce(t.occurred_at, t.read_at) AS occurred_at,
    t.occurred_from,
    CASE WHEN t.occurred_at IS NULL THEN 'estimated' ELSE t.time_kind END AS time_kind,
    t.received_at, t.effective_at, $recorded_at AS recorded_at, t.source,
    t.explicit AS is_explicit, t.channel, t.actor, t.reason, truncated_ip(t.ip) AS ip_truncated,
    t.user_agent, t.campaign_id, t.evidence_ref, t.position, t.missing, $run_id AS run_id
FROM told AS t
WHERE NOT EXISTS (SELECT 1 FROM core.change AS c WHERE c.change_id = t.change_id);
