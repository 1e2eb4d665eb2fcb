-- People by their words, and those whose words are odd.
CREATE OR REPLACE TEMP TABLE rec_group (
    system VARCHAR, word BIGINT, hub_word BIGINT, people BIGINT
);

CREATE OR REPLACE TEMP TABLE rec_person (
    system VARCHAR, contact_key UUID, word BIGINT, hub_word BIGINT,
    is_missing BOOLEAN, differs BOOLEAN, contradicts BOOLEAN
);
