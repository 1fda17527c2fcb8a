-- +goose Up

-- One row: which secret the claims and tokens of this ledger were made with.
CREATE TABLE ledger (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fingerprint text NOT NULL
);

CREATE SEQUENCE holders;

CREATE TABLE runs (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed     text NOT NULL,
    kind     text NOT NULL,
    started  timestamptz NOT NULL DEFAULT now(),
    finished timestamptz,
    calls    bigint NOT NULL DEFAULT 0,
    seconds  double precision NOT NULL DEFAULT 0,
    error    text NOT NULL DEFAULT '',
    alarms   text[] NOT NULL DEFAULT '{}'
);

CREATE TABLE drops (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month        date NOT NULL, -- of first_seen, UTC; leads every key of its rows
    feed         text NOT NULL,
    dialer       text NOT NULL,
    name         text NOT NULL,
    sha256       bytea NOT NULL CHECK (length(sha256) = 32),
    bytes        bigint NOT NULL,
    header       text[] NOT NULL DEFAULT '{}',
    state        text NOT NULL DEFAULT 'spooled' CHECK (state IN ('spooled', 'importing', 'done', 'held', 'failed')),
    settings     text NOT NULL,
    recorded     integer NOT NULL DEFAULT 0,
    complete     boolean NOT NULL DEFAULT false,
    skipped      integer NOT NULL DEFAULT 0, -- lines that held no record
    first_seen   timestamptz NOT NULL DEFAULT now(),
    finished     timestamptz,
    why          text NOT NULL DEFAULT '',
    holder       bigint,
    leased_until timestamptz,
    UNIQUE (feed, sha256)
);
CREATE INDEX drops_unfinished ON drops (id) WHERE state = 'importing';

CREATE TABLE run_drops (
    run_id  bigint NOT NULL REFERENCES runs,
    drop_id bigint NOT NULL REFERENCES drops,
    already boolean NOT NULL,
    counts  jsonb, -- state → reason → rows, as the run left the drop; NULL: the run has not ended
    PRIMARY KEY (run_id, drop_id)
);

-- Who holds which lead's identity. The key is an HMAC: without the secret it
-- tells nothing.
CREATE TABLE claims (
    key        uuid PRIMARY KEY,
    drop_id    bigint NOT NULL,
    record     integer NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TYPE row_state AS ENUM
    ('pending', 'armed', 'unknown', 'succeeded', 'rejected', 'failed', 'duplicate', 'invalid', 'review');

-- Rows are slim because each is written three times (recorded, armed,
-- settled). No index holds a column that changes, and pages are filled by 40 %,
-- so that updates stay within their page: arming writes a whole page's rows
-- anew before the old ones can be cleared away.
CREATE TABLE rows (
    month     date NOT NULL,
    drop_id   bigint NOT NULL,
    claim     uuid,
    answer_by timestamptz, -- when the current attempt's call has ended on our side: send_before + timeout
    lead_id   bigint,
    holder    bigint,      -- who armed it
    run_id    bigint NOT NULL,
    dup_drop  bigint,      -- the row that holds the claim
    dup_record integer,
    record    integer NOT NULL,
    line      integer NOT NULL,
    state     row_state NOT NULL,
    attempt   smallint NOT NULL DEFAULT 0,
    lost      smallint NOT NULL DEFAULT 0, -- attempts whose answers were lost
    reason    text NOT NULL DEFAULT '',
    note      text NOT NULL DEFAULT '',
    PRIMARY KEY (month, drop_id, record)
) PARTITION BY RANGE (month);
CREATE INDEX rows_claim ON rows (claim);

-- What the vendor sent and what is posted; written once.
CREATE TABLE row_data (
    month   date NOT NULL,
    drop_id bigint NOT NULL,
    record  integer NOT NULL,
    cells   text[] NOT NULL,
    lead    json,
    changes json,
    PRIMARY KEY (month, drop_id, record)
) PARTITION BY RANGE (month);

-- Attempts that were superseded by a later one.
CREATE TABLE attempts (
    month     date NOT NULL,
    drop_id   bigint NOT NULL,
    record    integer NOT NULL,
    attempt   smallint NOT NULL,
    holder    bigint,
    answer_by timestamptz,
    reason    text NOT NULL,
    PRIMARY KEY (month, drop_id, record, attempt)
) PARTITION BY RANGE (month);

-- A process's block of a dialer's calls in flight.
CREATE TABLE slots (
    dialer text NOT NULL,
    holder bigint NOT NULL,
    want   integer NOT NULL,
    most   integer NOT NULL, -- the holder's configured limit for the dialer
    count  integer NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (dialer, holder)
);

-- Makes the partitions of a month. They are built aside and attached, which
-- does not block those who write to other months.
-- +goose StatementBegin
CREATE FUNCTION make_partitions(m date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    part   text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('importer.make_partitions'));
    FOREACH parent IN ARRAY ARRAY['rows', 'row_data', 'attempts'] LOOP
        part := parent || '_' || to_char(m, 'YYYY_MM');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = %s)',
                part, parent, CASE parent WHEN 'rows' THEN 40 ELSE 100 END);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, part, m, m + interval '1 month');
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION make_partitions(date);
DROP TABLE slots, attempts, row_data, rows, claims, run_drops, drops, runs, ledger;
DROP TYPE row_state;
DROP SEQUENCE holders;
