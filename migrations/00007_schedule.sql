-- +goose Up

-- How far each feed's schedule was judged. The row is locked by whoever judges.
CREATE TABLE schedules (
    feed   text PRIMARY KEY,
    last   timestamptz NOT NULL DEFAULT now(), -- the last slot that was judged; at first, since when the feed is known
    paused boolean NOT NULL DEFAULT false
);

-- Slots of schedules and what became of them, each once.
CREATE TABLE schedule_slots (
    feed    text NOT NULL,
    slot    timestamptz NOT NULL,
    until   timestamptz, -- so it went with all slots up to here
    verdict text NOT NULL, -- run, queue, missed, overlap, paused, holiday, blackout
    run_id  bigint REFERENCES runs, -- of run and queue, once it has begun
    ended   timestamptz, -- of run and queue, when it had
    judged  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, slot)
);
CREATE INDEX schedule_slots_open ON schedule_slots (feed) WHERE ended IS NULL AND verdict IN ('run', 'queue');

-- Who carries a run, for as long as he says so. One whose holder has died goes on
-- with another.
ALTER TABLE runs ADD COLUMN holder bigint, ADD COLUMN leased_until timestamptz;

-- +goose Down
ALTER TABLE runs DROP COLUMN holder, DROP COLUMN leased_until;
DROP TABLE schedule_slots, schedules;
