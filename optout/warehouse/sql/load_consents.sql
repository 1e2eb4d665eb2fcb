INSERT OR REPLACE INTO core.consent BY NAME
SELECT
    c.system, c.store, c.record_id, c.contact_key, c.country, c.method, c.basis, c.basis_date,
    c.basis_ref, c.last_updated_at, c.update_source, c.update_reason,
    c.consent_ip IS NOT NULL AS has_consent_ip, c.night
FROM (
    SELECT
        r.*,
        row_number() OVER (
            PARTITION BY r.store, r.record_id
            ORDER BY r.last_updated_at DESC NULLS LAST, r.part DESC, r.part_row DESC
        ) AS rank_in_night
    FROM raw.consent AS r
    WHERE r.system = $system AND r.contact_key IS NOT NULL
) AS c
WHERE c.rank_in_night = 1;
