-- +goose Up

-- Files that were taken from feeds' sources. A file is known by where it lay and
-- by what its place told of it, so that a listing shows what is new.
CREATE TABLE files (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed     text NOT NULL,
    place    text NOT NULL,
    path     text NOT NULL,
    size     bigint NOT NULL,
    modified timestamptz, -- NULL: the place did not tell
    version  text NOT NULL,
    taken    timestamptz NOT NULL DEFAULT now(),
    ended    timestamptz, -- when it was put away at its place, or left there for good
    gone     boolean NOT NULL DEFAULT false, -- it is not there any more: the same file there again is a new one
    put_as   text NOT NULL DEFAULT '', -- the name that it was given there; empty: none
    UNIQUE NULLS NOT DISTINCT (feed, place, path, size, modified, version)
);
CREATE INDEX files_open ON files (feed) WHERE ended IS NULL;

CREATE TABLE file_drops (
    file_id bigint NOT NULL REFERENCES files,
    drop_id bigint NOT NULL REFERENCES drops,
    PRIMARY KEY (file_id, drop_id)
);
CREATE INDEX file_drops_drop ON file_drops (drop_id);

DROP INDEX drops_unfinished;
CREATE INDEX drops_unfinished ON drops (id) WHERE state IN ('importing', 'spooled');

-- +goose Down
DROP INDEX drops_unfinished;
CREATE INDEX drops_unfinished ON drops (id) WHERE state = 'importing';
DROP TABLE file_drops, files;
