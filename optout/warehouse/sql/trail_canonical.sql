-- The bytes of each change that the chain commits to: every column, each with its length before it,
-- so that no two rows share bytes. For the contact key stands the address that it was made of:
-- keys rotate, the address stays (verification holds key and address together).
CREATE OR REPLACE TEMP MACRO trail_part(v) AS
    CASE WHEN v IS NULL THEN '-' ELSE strlen(v)::VARCHAR || ':' || v END;

CREATE OR REPLACE TEMP MACRO trail_time(v) AS trail_part(epoch_us(v)::VARCHAR);

CREATE OR REPLACE TEMP VIEW trail_canonical AS
SELECT
    c.change_seq, c.night, i.address IS NOT NULL AS has_address,
    encode(
        'optout.change.1'
        || trail_part(c.change_seq::VARCHAR) || trail_part(c.change_id::VARCHAR)
        || trail_part(date_diff('day', DATE '1970-01-01', c.night)::VARCHAR)
        || trail_part(c.system) || trail_part(c.feed) || trail_part(i.address)
        || trail_part(c.record_id) || trail_part(c.store) || trail_part(c.category)
        || trail_part(c.old_state) || trail_part(c.new_state)
        || trail_time(c.occurred_at) || trail_time(c.occurred_from) || trail_part(c.time_kind)
        || trail_time(c.received_at) || trail_time(c.effective_at) || trail_time(c.recorded_at)
        || trail_part(c.source) || trail_part(CASE WHEN c.is_explicit THEN '1' ELSE '0' END)
        || trail_part(c.channel) || trail_part(c.actor) || trail_part(c.reason)
        || trail_part(c.ip_truncated) || trail_part(c.user_agent) || trail_part(c.campaign_id)
        || trail_part(c.evidence_ref) || trail_part(c.position::VARCHAR) || trail_part(c.missing)
        || trail_part(c.run_id)
    ) AS body
FROM core.change AS c
LEFT JOIN (SELECT contact_key, min(address) AS address FROM core.identity GROUP BY contact_key) AS i
    ON i.contact_key = c.contact_key;
