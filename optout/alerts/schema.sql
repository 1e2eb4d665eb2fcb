-- The alerts' own small file: many processes, short transactions, independent of the warehouse's lock.

CREATE TABLE alert (
    dedup_key       TEXT PRIMARY KEY,
    rule            TEXT NOT NULL,
    state           TEXT NOT NULL,
    episode         INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    severity        TEXT NOT NULL,
    facts           TEXT NOT NULL,          -- JSON of the condition as last seen
    opened_at       TEXT NOT NULL,
    opened_night    TEXT NOT NULL,
    seen_night      TEXT NOT NULL,
    news            INTEGER NOT NULL,
    is_announced    INTEGER NOT NULL,
    told            TEXT,                   -- JSON: when, severity, count, band
    unknown_since   TEXT,
    resolved_at     TEXT,
    acknowledged_by TEXT,
    never_muted     INTEGER NOT NULL
) STRICT;

-- Single happenings (a send after an opt-out) that were recorded already, as opaque digests.
CREATE TABLE event (
    dedup_key TEXT NOT NULL,
    digest    TEXT NOT NULL,
    PRIMARY KEY (dedup_key, digest)
) STRICT, WITHOUT ROWID;

-- Everything that happened to an alert, silenced or not.
CREATE TABLE history (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    dedup_key TEXT NOT NULL,
    at        TEXT NOT NULL,
    night     TEXT,
    what      TEXT NOT NULL,
    count     INTEGER,
    severity  TEXT,
    who       TEXT,
    note      TEXT
) STRICT;
CREATE INDEX history_of ON history (dedup_key, seq);

CREATE TABLE silence (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    dedup_key  TEXT,                        -- NULL: by rule and system
    rule       TEXT,
    system     TEXT,
    until      TEXT NOT NULL,
    who        TEXT NOT NULL,
    why        TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- Which copy of the facts each family of rules has judged.
CREATE TABLE evaluation (
    family       TEXT PRIMARY KEY,
    night        TEXT,
    token        TEXT NOT NULL,
    evaluated_at TEXT NOT NULL
) STRICT;

-- Notices to be sent, written in the transaction that changed the alert.
CREATE TABLE outbox (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    channel    TEXT NOT NULL,
    dedup_key  TEXT NOT NULL,
    action     TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    episode    INTEGER NOT NULL,
    message    TEXT NOT NULL,               -- JSON
    created_at TEXT NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,  -- counted before each attempt
    done_at    TEXT,                        -- NULL: still to be sent
    outcome    TEXT,                        -- delivered | refused | not for this channel | replaced
    reference  TEXT,                        -- the channel's own name of what was sent
    error      TEXT,
    UNIQUE (dedup_key, action, revision, channel)
) STRICT;
CREATE INDEX outbox_open ON outbox (seq) WHERE done_at IS NULL;

-- How each channel fares.
CREATE TABLE channel (
    name          TEXT PRIMARY KEY,
    failures      INTEGER NOT NULL,
    failing_since TEXT,
    next_at       TEXT,
    error         TEXT
) STRICT;

-- The nights that the dead man's switch was told of.
CREATE TABLE heartbeat (
    night     TEXT PRIMARY KEY,
    pinged_at TEXT NOT NULL
) STRICT;
