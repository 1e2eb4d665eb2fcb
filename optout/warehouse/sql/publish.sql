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

CREATE TABLE published.audit.opt_out AS SELECT * FROM audit.opt_out;

CREATE TABLE published.audit.opt_out_effect AS SELECT * FROM audit.opt_out_effect;

CREATE TABLE published.audit.violation AS SELECT * FROM audit.violation;

CREATE TABLE published.audit.consent AS SELECT * FROM audit.consent;

CREATE TABLE published.audit.consent_forecast AS SELECT * FROM audit.consent_forecast;

CREATE TABLE published.audit.unconsented_send AS SELECT * FROM audit.unconsented_send;

CREATE TABLE published.audit.sunset AS SELECT * FROM audit.sunset;

CREATE TABLE published.audit.campaign_fault AS SELECT * FROM audit.campaign_fault;

CREATE TABLE published.audit.frequent_changer AS SELECT * FROM audit.frequent_changer;

CREATE TABLE published.audit.audience AS SELECT * FROM audit.audience;

CREATE TABLE published.mart.category AS SELECT * FROM mart.category;

CREATE TABLE published.mart.audience_daily AS SELECT * FROM mart.audience_daily;

CREATE TABLE published.mart.preference_daily AS SELECT * FROM mart.preference_daily;

CREATE TABLE published.mart.opt_out_rate AS SELECT * FROM mart.opt_out_rate;

CREATE TABLE published.audit.trail_gap AS SELECT * FROM audit.trail_gap;

CREATE TABLE published.mart.trail_daily AS SELECT * FROM mart.trail_daily;

CREATE TABLE published.core.chain_head AS
SELECT max(link_seq) AS links, max(change_seq) AS change_seq, arg_max(night, link_seq) AS night,
       arg_max(link, link_seq) AS link
FROM core.change_commitment;

CREATE TABLE published.mart.metric_daily AS SELECT * FROM mart.metric_daily;

CREATE TABLE published.audit.move AS SELECT * FROM audit.move;

CREATE TABLE published.audit.cell_count AS SELECT * FROM audit.cell_count;

CREATE TABLE published.mart.opt_out_series AS SELECT * FROM mart.opt_out_series;

CREATE TABLE published.audit.spike AS SELECT * FROM audit.spike;

-- Where preferences are written: how much, how late it was heard of, how well it is recorded. What only
-- comparing nights tells is no touchpoint.
CREATE TABLE published.mart.touchpoint AS
SELECT system, source, channel, category, count(*) AS changes, count(DISTINCT contact_key) AS people,
       avg(CASE WHEN is_explicit THEN 1 ELSE 0 END) AS explicit_share,
       avg(CASE WHEN time_kind = 'source' THEN 1 ELSE 0 END) AS exact_share,
       quantile_cont(hours, 0.5) AS hours_median, quantile_cont(hours, 0.95) AS hours_p95,
       avg(CASE WHEN missing IS NULL OR missing = '' THEN 1 ELSE 0 END) AS complete_share,
       max(occurred_at) AS last_at
FROM (
    SELECT *, CASE WHEN time_kind = 'source' THEN greatest(0, epoch(received_at - occurred_at)) / 3600.0 END AS hours
    FROM core.change
    WHERE feed NOT IN ('baseline', 'comparison', 'address_change')
) AS c
GROUP BY system, source, channel, category;

-- What the reports need beside that (optout.reports): the last nights' changes, without free text.
CREATE TABLE published.audit.recent_change AS
SELECT c.night, c.system, c.category, c.old_state, c.new_state, c.occurred_at, c.occurred_from, c.time_kind,
       c.source, c.channel, c.actor, c.is_explicit, c.feed, c.contact_key
FROM core.change AS c
WHERE c.night > (SELECT max(night) FROM core.night) - INTERVAL 8 DAY
  AND c.occurred_at > (SELECT max(cutoff_at) FROM core.night) - INTERVAL 40 DAY
  AND c.feed NOT IN ('baseline', 'address_change');

-- How many of the hub's records have each governance field.
CREATE TABLE published.mart.field_filled AS
SELECT system, field, records, filled
FROM (
    SELECT system, count(*) AS records, count(country) AS country, count(method) AS consent_method,
           count(basis) AS consent_basis, count(basis_date) AS consent_basis_date,
           count(basis_ref) AS consent_basis_ref, count(last_updated_at) AS last_updated,
           count(update_source) AS update_source, count(*) FILTER (has_consent_ip) AS consent_ip
    FROM core.consent
    GROUP BY system
)
UNPIVOT (filled FOR field IN (country, consent_method, consent_basis, consent_basis_date, consent_basis_ref,
                              last_updated, update_source, consent_ip));

-- How many people have several records of one store.
CREATE TABLE published.mart.duplicate AS
SELECT system, store, count(*) AS people, sum(records) AS records
FROM (
    SELECT system, store, contact_key, count(DISTINCT record_id) AS records
    FROM core.observation
    WHERE night_to IS NULL AND contact_key IS NOT NULL AND present
    GROUP BY system, store, contact_key
    HAVING count(DISTINCT record_id) > 1
)
GROUP BY system, store;

CREATE TABLE published.core.erasure AS SELECT * FROM core.erasure;

CREATE TABLE published.core.schema_version AS SELECT max(version) AS version FROM schema_version;
