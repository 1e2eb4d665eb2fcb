-- What alerts ask that no other table tells: people who went from opted out to not, night by night.
CREATE TABLE audit.move (
    night       DATE NOT NULL,
    system      VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,          -- optout.model.Source of the change that led there
    is_personal BOOLEAN NOT NULL,          -- the person's own act
    people      BIGINT NOT NULL,
    everyone    BIGINT NOT NULL            -- people of whom the system has a record
);
