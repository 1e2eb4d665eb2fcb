-- What the next night needs to judge only those of whom something changed.
DELETE FROM audit.basis;

DELETE FROM audit.word_count;

INSERT INTO audit.word_count SELECT system, word, hub_word, people FROM rec_group;

INSERT INTO audit.basis
SELECT $night, $cutoff, coalesce(max(change_seq), 0), $rules FROM core.change;
