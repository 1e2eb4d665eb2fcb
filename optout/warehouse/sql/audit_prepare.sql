-- What everything below looks at: the current readings of people, and what is known to have changed.
CREATE OR REPLACE TEMP VIEW rec_observation AS
SELECT * FROM core.observation WHERE night_to IS NULL AND contact_key IS NOT NULL;

CREATE OR REPLACE TEMP VIEW rec_change AS
SELECT * FROM core.change;

-- People by their words, and those whose words are odd.
CREATE OR REPLACE TEMP TABLE rec_group (
    system VARCHAR, word BIGINT, hub_word BIGINT, people BIGINT
);

CREATE OR REPLACE TEMP TABLE rec_person (
    system VARCHAR, contact_key UUID, word BIGINT, hub_word BIGINT,
    is_missing BOOLEAN, differs BOOLEAN, contradicts BOOLEAN
);
