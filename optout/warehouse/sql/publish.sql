-- The copy that people read: no addresses, no landing, nothing that only the writer needs.
CREATE SCHEMA published.core;

CREATE SCHEMA published.audit;

CREATE SCHEMA published.mart;

CREATE TABLE published.core.night AS SELECT * FROM core.night;

CREATE TABLE published.core.source_read AS SELECT * FROM core.source_read;

CREATE TABLE published.core.finding AS SELECT * FROM core.finding;

CREATE TABLE published.core.campaign AS SELECT * EXCLUDE (subject, from_name, from_address, reply_to) FROM core.campaign;

CREATE TABLE published.audit.expected AS SELECT * FROM audit.expected;

CREATE TABLE published.audit.drift AS SELECT * FROM audit.drift;

CREATE TABLE published.mart.metric_daily AS SELECT * FROM mart.metric_daily;
