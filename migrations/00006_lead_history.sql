-- +goose Up

-- What finds the rows of a vendor's lead code. It costs recording 2.3 µs of time
-- and 91 bytes of log a row; 0.9 µs and nothing where leads have no code.
CREATE INDEX row_data_vendor_code ON row_data USING hash ((lead ->> 'vendor_lead_code'));

-- What finds the row of a dialer's lead: a dialer counts its leads upwards, so
-- that few runs have brought in ids on both sides of one. An index on the rows
-- would hold a column that changes.
ALTER TABLE runs ADD COLUMN first_lead bigint, ADD COLUMN last_lead bigint;
UPDATE runs SET first_lead = l.first, last_lead = l.last
FROM (SELECT run_id, min(lead_id) AS first, max(lead_id) AS last FROM rows WHERE lead_id IS NOT NULL GROUP BY 1) l
WHERE id = l.run_id;

-- +goose Down
ALTER TABLE runs DROP COLUMN first_lead, DROP COLUMN last_lead;
DROP INDEX row_data_vendor_code;
