-- Changes told by the vendor: each once, whatever the number of feeds' pages that repeat it.
CREATE OR REPLACE TEMP TABLE told AS
SELECT * EXCLUDE (rank_in_night)
FROM (
    SELECT
        md5($system || '|' || c.event_id)::UUID AS change_id,
        c.* EXCLUDE (filename, raw, address, event_id),
        s.read_at,
        row_number() OVER (PARTITION BY c.event_id ORDER BY c.filename DESC, c.occurred_at, c.position) AS rank_in_night
    FROM read_parquet($files, filename = true) AS c
    JOIN part_stream AS p ON p.part = c.filename
    JOIN stream_read AS s ON s.stream = p.stream
    WHERE c.contact_key IS NOT NULL
)
WHERE rank_in_night = 1;

INSERT INTO core.change BY NAME
SELECT
    (SELECT coalesce(max(change_seq), 0) FROM core.change)
        + row_number() OVER (ORDER BY t.occurred_at, t.change_id) AS change_seq,
    t.change_id, $night AS night, $system AS system, t.feed, t.contact_key, t.record_id, t.store,
    t.category, t.old AS old_state, t.new AS new_state,
    coalesce(t.occurred_at, t.read_at) AS occurred_at,
    t.occurred_from,
    CASE WHEN t.occurred_at IS NULL THEN 'estimated' ELSE t.time_kind END AS time_kind,
    t.received_at, t.effective_at, $recorded_at AS recorded_at, t.source, t.explicit AS is_explicit,
    t.channel, t.actor, t.reason, truncated_ip(t.ip) AS ip_truncated, t.user_agent, t.campaign_id,
    t.evidence_ref, t.position, t.missing, $run_id AS run_id
FROM told AS t
WHERE NOT EXISTS (SELECT 1 FROM core.change AS c WHERE c.change_id = t.change_id);
