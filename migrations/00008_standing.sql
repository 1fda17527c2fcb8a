-- +goose Up

-- What tells when a feed was last pulled or imported without a failure. The daemon
-- asks for it every few seconds, of every feed.
CREATE INDEX runs_succeeded ON runs (feed, finished) WHERE error = '' AND kind IN ('run', 'import');

-- +goose Down
DROP INDEX runs_succeeded;
