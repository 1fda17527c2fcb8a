-- +goose Up

-- How far each feed's schedule was judged. The row is locked by whoever judges.
CREATE TABLE schedules (
    feed   text PRIMARY KEY,
    since  timestamptz NOT NULL, -- when the feed was known first
    last   timestamptz NOT NULL, -- the last slot that was judged; at first, since
    says   text, -- the schedule by which it was judged last
    paused timestamptz, -- since when a person keeps it from beginning runs
    seen   timestamptz NOT NULL DEFAULT now() -- until when it stood in somebody's configuration, by an hour
);

-- Slots of schedules and what became of them, each once; runs that a person asked
-- for, at the moment at which that was; and runs that shall do what one could not, for
-- a reason that may pass.
CREATE TABLE schedule_slots (
    feed    text NOT NULL,
    slot    timestamptz NOT NULL,
    until   timestamptz, -- so it went with all slots up to here
    verdict text NOT NULL, -- run, queue, asked, again; missed, overlap, paused, holiday, blackout
    run_id  bigint REFERENCES runs, -- of the first four, once it has begun
    ended   timestamptz, -- of the first four, when it had; without a run: another slot came before
    origin  timestamptz, -- of again: the slot whose run failed first
    tries   integer NOT NULL DEFAULT 0, -- of again: how many runs have failed since
    judged  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, slot)
);
CREATE INDEX schedule_slots_open ON schedule_slots (feed, slot) WHERE ended IS NULL AND verdict IN ('run', 'queue', 'asked', 'again');

-- Days on which a drop of a feed was expected by some time, each judged once.
CREATE TABLE expected_drops (
    feed   text NOT NULL,
    day    date NOT NULL,
    by     timestamptz NOT NULL,
    late   boolean NOT NULL, -- none had come by then
    run_id bigint REFERENCES runs, -- of late: the run of which people were told that it brought the first one since
    PRIMARY KEY (feed, day)
);
CREATE INDEX expected_drops_awaited ON expected_drops (feed) WHERE late AND run_id IS NULL;
CREATE INDEX drops_first_seen ON drops (feed, first_seen);
CREATE INDEX files_taken ON files (feed, taken);
-- Slots that were missed, by the last of each stretch.
CREATE INDEX schedule_slots_missed ON schedule_slots (feed, coalesce(until, slot)) WHERE verdict = 'missed';

-- The processes that serve. One that has ended, or died, is remembered for a while.
CREATE TABLE replicas (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host    text NOT NULL,
    started timestamptz NOT NULL DEFAULT now(),
    until   timestamptz NOT NULL -- when it is taken for dead, unless it has told of itself by then
);

-- Who carries a run, for as long as he says so. One whose holder has died goes on
-- with another.
ALTER TABLE runs
    ADD COLUMN holder bigint,
    ADD COLUMN leased_until timestamptz,
    ADD COLUMN carriers integer NOT NULL DEFAULT 1, -- how many have carried it, one after the other
    ADD COLUMN deaths integer NOT NULL DEFAULT 0, -- how many of them have vanished without leaving it to others
    ADD COLUMN cancelled timestamptz;
CREATE INDEX runs_feed ON runs (feed, started);
CREATE INDEX runs_open ON runs (id) WHERE finished IS NULL;
-- What tells when a feed was last pulled or imported without a failure. The daemon
-- asks for it every few seconds, of every feed.
CREATE INDEX runs_succeeded ON runs (feed, finished) WHERE error = '' AND kind IN ('run', 'import');

-- What waits for a person: drops that are held, and rows in review, as whoever
-- worked on their drop last has left them. No index may be of the rows' state.
ALTER TABLE drops ADD COLUMN review integer NOT NULL DEFAULT 0;
UPDATE drops SET review = r.rows FROM (SELECT drop_id, count(*) AS rows FROM rows WHERE state = 'review' GROUP BY 1) r WHERE id = drop_id;
CREATE INDEX drops_review ON drops (id) WHERE review > 0;
CREATE INDEX drops_held ON drops (id) WHERE state = 'held';

-- Those who make way for others.
ALTER TABLE slots ADD COLUMN yields boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE slots DROP COLUMN yields;
DROP INDEX drops_held;
ALTER TABLE drops DROP COLUMN review;
DROP INDEX runs_succeeded, runs_open, runs_feed;
ALTER TABLE runs DROP COLUMN holder, DROP COLUMN leased_until, DROP COLUMN carriers, DROP COLUMN deaths, DROP COLUMN cancelled;
DROP INDEX files_taken, drops_first_seen;
DROP TABLE replicas, expected_drops, schedule_slots, schedules;
