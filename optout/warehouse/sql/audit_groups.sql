-- People of one ESP, counted by their two words (optout.warehouse.reconcile).
INSERT INTO rec_group
SELECT $system, word, hub_word, CAST($sign AS BIGINT) * count(*)
FROM rec_pair
GROUP BY word, hub_word;
