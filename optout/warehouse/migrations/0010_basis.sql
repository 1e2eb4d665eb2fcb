-- What lets a night judge only those of whom something changed (optout.warehouse.incremental).

-- The last judged night; one row, or none where the next night has to judge everybody.
CREATE TABLE audit.basis (
    night       DATE NOT NULL,
    cutoff_at   TIMESTAMP NOT NULL,
    change_seq  BIGINT NOT NULL,             -- of core.change, the last that it knew
    rules       VARCHAR NOT NULL             -- fingerprint of policy, judged systems and statements
);

-- People of each ESP, counted by their two words (optout.warehouse.reconcile), as of that night.
CREATE TABLE audit.word_count (
    system   VARCHAR NOT NULL,
    word     BIGINT NOT NULL,
    hub_word BIGINT NOT NULL,
    people   BIGINT NOT NULL
);
