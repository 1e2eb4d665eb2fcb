INSERT OR REPLACE INTO core.campaign BY NAME
SELECT * EXCLUDE (rank_in_night)
FROM (
    SELECT
        $system AS system, $night AS night, c.* EXCLUDE (raw, filename),
        row_number() OVER (PARTITION BY c.campaign_id ORDER BY c.filename DESC) AS rank_in_night
    FROM read_parquet($files, filename = true) AS c
)
WHERE rank_in_night = 1;
