-- The people of one ESP whose words are odd.
INSERT INTO rec_person
SELECT $system, p.contact_key, p.word, p.hub_word, o.is_missing, o.differs, o.contradicts
FROM rec_pair AS p
JOIN rec_odd AS o ON o.word = p.word AND o.hub_word = p.hub_word
WHERE o.system = $system;
