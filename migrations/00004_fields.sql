-- +goose Up

-- What each column of a drop's header was read as, empty for one that was not
-- used: the feed's next drop is held when a column that was used is gone.
ALTER TABLE drops ADD COLUMN fields text[] NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE drops DROP COLUMN fields;
