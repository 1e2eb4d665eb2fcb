-- Everybody, counted by words: as the last judged night left it, without what the affected people
-- were then, with what they are now.
CREATE OR REPLACE TEMP TABLE rec_total AS
SELECT system, word, hub_word, CAST(sum(people) AS BIGINT) AS people
FROM (
    SELECT system, word, hub_word, people FROM audit.word_count
    UNION ALL
    SELECT system, word, hub_word, people FROM rec_group
) AS counted
GROUP BY system, word, hub_word
HAVING sum(people) <> 0;

DELETE FROM rec_group;

INSERT INTO rec_group SELECT system, word, hub_word, people FROM rec_total;
