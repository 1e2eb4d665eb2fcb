-- People's rights (docs/adr/0007-erasure-keeps-a-suppression-record.md): who must never be mailed
-- again although nothing else is known of them, what was erased, and which keys made contact keys.

-- The least that keeps a re-import blocked (GDPR 17(3)(b), 21(3)): no address, no history.
CREATE TABLE core.suppression (
    contact_key UUID NOT NULL,
    key_id      VARCHAR NOT NULL,            -- of the key that made it; retired keys stay for these
    category    VARCHAR,                     -- NULL: of everything
    since       TIMESTAMP NOT NULL,
    reason      VARCHAR NOT NULL,            -- erasure_request
    ground      VARCHAR NOT NULL             -- why it may be kept
);

-- What was erased, from where; one row a place. Nothing here tells of whom.
CREATE TABLE core.erasure (
    erasure_id UUID NOT NULL,
    erased_at  TIMESTAMP NOT NULL,
    who        VARCHAR NOT NULL,
    key_id     VARCHAR NOT NULL,
    place      VARCHAR NOT NULL,             -- a table or a kind of file
    removed    BIGINT NOT NULL,              -- rows taken away
    blanked    BIGINT NOT NULL               -- rows of other people that lost a mention
);

-- Every key that ever made contact keys here. A run with another key than the current one would
-- take everybody for a stranger and forget every opt-out, hence the fingerprint.
CREATE TABLE core.contact_key_secret (
    key_id      VARCHAR PRIMARY KEY,
    fingerprint BLOB NOT NULL,               -- of the secret; tells whether it is the same, not what
    is_current  BOOLEAN NOT NULL,
    since       TIMESTAMP NOT NULL,
    retired_at  TIMESTAMP
);

-- A suppression in the shape of a change: an opt-out that nothing lifts.
CREATE VIEW core.suppression_change AS
SELECT
    CAST(NULL AS BIGINT) AS change_seq,
    md5('suppression|' || s.contact_key || '|' || coalesce(s.category, '*'))::UUID AS change_id,
    CAST(s.since AS DATE) AS night, 'suppression' AS system, 'suppression_record' AS feed,
    s.contact_key, CAST(NULL AS VARCHAR) AS record_id, CAST(NULL AS VARCHAR) AS store, s.category,
    CAST(NULL AS VARCHAR) AS old_state, 'opted_out' AS new_state, s.since AS occurred_at,
    s.since AS occurred_from, 'source' AS time_kind, s.since AS received_at,
    CAST(NULL AS TIMESTAMP) AS effective_at, s.since AS recorded_at, 'support_request' AS source,
    true AS is_explicit, CAST(NULL AS VARCHAR) AS channel, 'person' AS actor, s.reason,
    CAST(NULL AS VARCHAR) AS ip_truncated, CAST(NULL AS VARCHAR) AS user_agent,
    CAST(NULL AS VARCHAR) AS campaign_id, CAST(NULL AS VARCHAR) AS evidence_ref,
    CAST(NULL AS INTEGER) AS position, CAST(NULL AS VARCHAR) AS missing,
    CAST(NULL AS VARCHAR) AS run_id
FROM core.suppression AS s;

CREATE OR REPLACE VIEW core.known_change AS
SELECT c.*
FROM core.change AS c
WHERE c.time_kind = 'source'
   OR NOT EXISTS (
        SELECT 1 FROM core.change AS s
        WHERE s.time_kind = 'source' AND s.system = c.system AND s.contact_key = c.contact_key
          AND s.category IS NOT DISTINCT FROM c.category AND s.new_state = c.new_state
          AND s.occurred_at <= c.occurred_at
          AND (c.occurred_from IS NULL OR s.occurred_at > c.occurred_from)
   )
UNION ALL BY NAME
SELECT * FROM core.suppression_change;
