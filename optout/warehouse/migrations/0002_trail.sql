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
