-- The trail of changes: its tamper-evident chain, what the hub's own history says today, one act
-- with all its evidence, and what is lacking (docs/adr/0004-a-chain-over-salted-commitments.md).

-- One link for each row of core.change, in its order, and one for each thing that lawfully happened
-- to them. Nothing here tells of a person once the salt is gone.
CREATE TABLE core.change_commitment (
    link_seq   BIGINT NOT NULL,             -- the place in the chain, from 1, without gaps
    kind       VARCHAR NOT NULL,            -- change | erasure | rotation
    night      DATE NOT NULL,
    change_seq BIGINT,                      -- of the row; NULL for what is no change
    content    VARCHAR,                     -- JSON, of what is no change
    salt       BLOB,                        -- 16 random bytes; NULL: the row was lawfully erased
    commitment BLOB NOT NULL,               -- SHA-256(salt || canonical bytes)
    link       BLOB NOT NULL                -- SHA-256(previous link || place, kind, night, seq || commitment)
);

-- Numbers that are taken: an erased row leaves its own behind.
CREATE VIEW core.change_number AS
SELECT change_seq FROM core.change
UNION ALL
SELECT change_seq FROM core.change_commitment WHERE change_seq IS NOT NULL;

-- That a head was written outside: a heads file that is gone must be missed.
CREATE TABLE core.chain_head (
    night      DATE NOT NULL,
    links      BIGINT NOT NULL,
    change_seq BIGINT NOT NULL,
    link       BLOB NOT NULL
);

-- What the hub's own history says today, record by record: replaced whenever a record is read, so
-- that an entry that was taken out of it is missed. `change_id` is NULL for what cannot be read.
CREATE TABLE core.history_entry (
    system     VARCHAR NOT NULL,
    store      VARCHAR NOT NULL,
    record_id  VARCHAR NOT NULL,
    position   INTEGER,                     -- in the list; NULL: the whole field cannot be read
    change_id  UUID,
    missing    VARCHAR,                     -- required fields that it lacks, comma-separated
    problem    VARCHAR,                     -- code of the finding, where it cannot be read
    categories INTEGER NOT NULL,            -- of which the finding speaks; 0: not known
    night      DATE NOT NULL                -- since when it says so
);

-- One act with its evidence: what several feeds of a system tell of one person, category and new
-- state within five minutes (the skew of clocks that we allow, optout.rules.trail.TOLERANCE) is one
-- act. Two in one feed are two acts: the first of each feed belong together, then the second. A
-- bound that a dated piece of evidence lies in is evidence of the same act. Systems are never
-- merged. The id is that of the piece that was recorded first: later evidence does not move it.
CREATE VIEW core.act_evidence AS
WITH dated AS NOT MATERIALIZED (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY system, contact_key, category, new_state, burst, feed, store, record_id
            ORDER BY occurred_at, position, change_seq
        ) AS nth
    FROM (
        SELECT
            *,
            sum(is_start) OVER (
                PARTITION BY system, contact_key, category, new_state
                ORDER BY occurred_at, change_seq
            ) AS burst
        FROM (
            SELECT
                c.*,
                CASE WHEN c.occurred_at - lag(c.occurred_at) OVER (
                    PARTITION BY c.system, c.contact_key, c.category, c.new_state
                    ORDER BY c.occurred_at, c.change_seq
                ) <= INTERVAL 5 MINUTE THEN 0 ELSE 1 END AS is_start
            FROM core.change AS c
            WHERE c.time_kind = 'source'
        )
    )
),
exact AS NOT MATERIALIZED (
    SELECT
        first_value(change_id) OVER (
            PARTITION BY system, contact_key, category, new_state, burst, nth
            ORDER BY change_seq
        ) AS act_id,
        *
    FROM dated
)
SELECT act_id, change_id, system, contact_key, feed, time_kind, true AS is_exact
FROM exact
UNION ALL
SELECT
    coalesce(arg_max(e.act_id, e.occurred_at), c.change_id), c.change_id, any_value(c.system),
    c.contact_key, any_value(c.feed), any_value(c.time_kind), false
FROM core.change AS c
LEFT JOIN exact AS e
    ON e.contact_key = c.contact_key AND e.system = c.system
   AND e.category IS NOT DISTINCT FROM c.category AND e.new_state = c.new_state
   AND e.occurred_at <= c.occurred_at
   AND (c.occurred_from IS NULL OR e.occurred_at > c.occurred_from)
WHERE c.time_kind <> 'source'
GROUP BY c.change_id, c.contact_key;

-- Each act once, with what its best evidence says: a dated piece before a bound, then the one that
-- says who did it, then the one that was recorded first. A person is asked for by contact key, which
-- every part is grouped by: DuckDB then reads that person's changes only.
CREATE VIEW core.act AS
SELECT
    e.act_id, c.system, e.contact_key, c.category, c.old_state, c.new_state, c.occurred_at,
    c.occurred_from, c.time_kind, c.received_at, c.effective_at, c.source, c.is_explicit,
    c.channel, c.actor, c.reason, c.campaign_id, c.recorded_at, c.night, e.evidence, e.feeds
FROM (
    SELECT
        a.act_id, a.contact_key, count(*) AS evidence, list_sort(list(DISTINCT a.feed)) AS feeds,
        arg_min(
            a.change_id,
            (CASE WHEN a.is_exact THEN 0 ELSE 1 END, CASE WHEN k.source = 'unknown' THEN 1 ELSE 0 END,
             k.change_seq)
        ) AS best_id
    FROM core.act_evidence AS a
    JOIN core.change AS k ON k.change_id = a.change_id AND k.contact_key = a.contact_key
    GROUP BY a.act_id, a.contact_key
) AS e
JOIN core.change AS c ON c.change_id = e.best_id AND c.contact_key = e.contact_key;

-- One row for each change of one field of one contact in one system, and whether the system's own
-- record of it is complete (docs/metrics.md#audit_trail_completeness).
CREATE TABLE audit.trail_change (
    unit_id     UUID NOT NULL,              -- the change that told of it first, else derived
    system      VARCHAR NOT NULL,
    contact_key UUID,
    field       VARCHAR,                    -- category; 'global': the flag of all; NULL: not known which
    new_state   VARCHAR,
    occurred_at TIMESTAMP,                  -- the act, or the latest moment at which it can have been
    night       DATE NOT NULL,              -- that told of it first
    source      VARCHAR NOT NULL,
    has_entry   BOOLEAN NOT NULL,           -- the system's own record of it
    is_readable BOOLEAN NOT NULL,
    is_chained  BOOLEAN NOT NULL,           -- its old value is the new one before it
    is_real     BOOLEAN NOT NULL,           -- false: an entry of a change that never was
    missing     VARCHAR,                    -- required fields that the record lacks
    fault       VARCHAR                     -- the first kind of gap; NULL: complete
);

CREATE TABLE audit.trail_gap (
    gap_id      UUID NOT NULL,              -- the same as long as the gap is
    kind        VARCHAR NOT NULL,           -- optout.rules.trail.GapKind
    system      VARCHAR NOT NULL,
    field       VARCHAR,
    contact_key UUID,
    occurred_at TIMESTAMP,
    night       DATE NOT NULL,
    source      VARCHAR NOT NULL,
    missing     VARCHAR,                    -- the one required field, of `missing_required_field`
    unit_id     UUID NOT NULL
);

-- What could not be judged: changes of records that are gone, with their history.
CREATE TABLE audit.trail_unjudged (
    system  VARCHAR NOT NULL,
    changes BIGINT NOT NULL
);

-- The completeness of the trail by what it is made of.
CREATE TABLE mart.trail_daily (
    night     DATE NOT NULL,
    system    VARCHAR NOT NULL,
    dimension VARCHAR NOT NULL,             -- field | source | missing_field | kind
    word      VARCHAR NOT NULL,
    changes   BIGINT NOT NULL,
    complete  BIGINT NOT NULL,
    gaps      BIGINT NOT NULL
);
