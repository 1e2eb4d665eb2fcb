-- Which category each stored bit means: masks of earlier nights are read by place, so that a list in
-- another order would give every opt-out to another category.
CREATE TABLE core.category_meaning (
    bit INTEGER PRIMARY KEY,
    category VARCHAR NOT NULL
);
