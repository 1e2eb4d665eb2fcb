-- Opt-outs beside deliveries, night by night, and what is said of them (docs/detection.md).

-- One row a night and series in which there was mail or an opt-out. The newest nights are counted
-- again every night, because events arrive late. No personal data: a mailbox domain with few
-- contacts is `other`.
CREATE TABLE mart.opt_out_series (
    night      DATE NOT NULL,
    dimension  VARCHAR NOT NULL,             -- system | category | source | domain | campaign
    system     VARCHAR NOT NULL,             -- where the acts were made; of the hub, beside the mail of all ESPs
    key        VARCHAR NOT NULL,             -- the category, source, domain or campaign; of a system: its name
    opt_outs   BIGINT NOT NULL,              -- people
    deliveries BIGINT NOT NULL
);

-- What was said of each series that was mailed or had opt-outs, once a night. A series without a row
-- was not judged: its source was not read completely.
CREATE TABLE audit.spike (
    night         DATE NOT NULL,
    kind          VARCHAR NOT NULL,          -- spike | slow_rise | dead_feed | scanner | too_little_to_tell | normal
    dimension     VARCHAR NOT NULL,
    system        VARCHAR NOT NULL,
    key           VARCHAR NOT NULL,
    since         DATE NOT NULL,             -- the first of the nights in a row of which this is said
    window_nights INTEGER NOT NULL,          -- tonight alone, or the sum of so many nights
    opt_outs      BIGINT NOT NULL,           -- of those nights
    deliveries    BIGINT NOT NULL,
    expected      DOUBLE,                    -- opt-outs; NULL: too little to tell
    rate          DOUBLE,                    -- opt-outs per delivery
    p_value       DOUBLE,                    -- chance of so many or more (dead_feed: of none) if nothing changed
    alpha         DOUBLE,                    -- what it has to stay below
    threshold     BIGINT,                    -- the least count that is one
    ratio         DOUBLE,                    -- opt_outs over expected
    note          VARCHAR
);
