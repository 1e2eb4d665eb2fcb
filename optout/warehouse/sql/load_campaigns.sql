INSERT OR REPLACE INTO core.campaign BY NAME
SELECT
    c.* EXCLUDE (rank_in_night, stream, read_at, part, part_row)
FROM (
    SELECT
        r.*,
        row_number() OVER (
            PARTITION BY r.campaign_id ORDER BY r.part DESC, r.part_row DESC
        ) AS rank_in_night
    FROM raw.campaign AS r
    WHERE r.system = $system
) AS c
WHERE c.rank_in_night = 1;
