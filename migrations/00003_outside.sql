-- +goose Up

-- What of a drop's file held no record: how many lines, of which kinds, and the
-- first of them.
ALTER TABLE drops ADD COLUMN outside json NOT NULL DEFAULT '{"count": 0}';
UPDATE drops SET outside = json_build_object('count', skipped) WHERE skipped > 0;
ALTER TABLE drops DROP COLUMN skipped;

-- +goose Down
ALTER TABLE drops ADD COLUMN skipped integer NOT NULL DEFAULT 0;
UPDATE drops SET skipped = (outside ->> 'count')::integer;
ALTER TABLE drops DROP COLUMN outside;
