-- +goose Up

-- How far each feed's schedule was judged. The row is locked by whoever judges.
CREATE TABLE schedules (
    feed   text PRIMARY KEY,
    since  timestamptz NOT NULL, -- when the feed was known first
    last   timestamptz NOT NULL, -- the last slot that was judged; at first, since
    paused boolean NOT NULL DEFAULT false
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
    feed text NOT NULL,
    day  date NOT NULL,
    by   timestamptz NOT NULL,
    late boolean NOT NULL, -- none had come by then
    PRIMARY KEY (feed, day)
);
CREATE INDEX drops_first_seen ON drops (feed, first_seen);
CREATE INDEX files_taken ON files (feed, taken);

-- Who carries a run, for as long as he says so. One whose holder has died goes on
-- with another.
ALTER TABLE runs
    ADD COLUMN holder bigint,
    ADD COLUMN leased_until timestamptz,
    ADD COLUMN carriers integer NOT NULL DEFAULT 1, -- how many have carried it, one after the other
    ADD COLUMN cancelled timestamptz;

-- +goose Down
ALTER TABLE runs DROP COLUMN holder, DROP COLUMN leased_until, DROP COLUMN carriers, DROP COLUMN cancelled;
DROP INDEX files_taken, drops_first_seen;
DROP TABLE expected_drops, schedule_slots, schedules;
