-- What an account's entries add up to, kept per account and range of ids, so that a balance need
-- not read every entry (rollups.ts). All of it can be made again from ledger.transactions.

CREATE TABLE ledger.rollup_leaves (
  leaf text PRIMARY KEY,
  bucket integer NOT NULL,
  covered_below uuid,
  armed_below uuid,
  bytes bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE ledger.rollup_leaves IS
  'How far each leaf is rolled up. A leaf that is not here is read entry by entry.';
COMMENT ON COLUMN ledger.rollup_leaves.covered_below IS
  'Entries with lower ids are in ledger.rollups or ledger.rollup_deltas; null for every id.';
COMMENT ON COLUMN ledger.rollup_leaves.armed_below IS
  'Entries with lower ids that come now leave a row in ledger.rollup_deltas; null for every id.';
COMMENT ON COLUMN ledger.rollup_leaves.bytes IS
  'Size of the leaf when it was rolled up, or found not worth it, the last time.';

CREATE TABLE ledger.rollup_ranges (
  range integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  leaf text NOT NULL,
  low uuid NOT NULL,
  high uuid,
  accounts bigint NOT NULL
);
COMMENT ON TABLE ledger.rollup_ranges IS
  'The ranges of ids a leaf is rolled up by: without gaps from the lowest id to covered_below.';
COMMENT ON COLUMN ledger.rollup_ranges.high IS 'The range ends before it; null for every id.';

CREATE TABLE ledger.rollups (
  account_id uuid NOT NULL,
  range integer NOT NULL,
  count bigint NOT NULL,
  sum numeric NOT NULL,
  first_id uuid NOT NULL,
  first_at timestamptz NOT NULL,
  last_id uuid NOT NULL,
  last_at timestamptz NOT NULL,
  earliest timestamptz NOT NULL,
  latest timestamptz NOT NULL,
  PRIMARY KEY (account_id, range)
);
CREATE INDEX rollups_range ON ledger.rollups (range);
COMMENT ON TABLE ledger.rollups IS 'What the entries of an account in a range of ids add up to.';
COMMENT ON COLUMN ledger.rollups.first_at IS 'When the entry first_id was created.';
COMMENT ON COLUMN ledger.rollups.last_at IS 'When the entry last_id was created.';
COMMENT ON COLUMN ledger.rollups.earliest IS
  'The first created_at of all: ids tell the client''s time, not the ledger''s.';

CREATE TABLE ledger.rollup_deltas (
  leaf text NOT NULL,
  account_id uuid NOT NULL,
  id uuid NOT NULL,
  amount bigint NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX rollup_deltas_account ON ledger.rollup_deltas (account_id);
COMMENT ON TABLE ledger.rollup_deltas IS
  'Entries that came after their range was rolled up, until they are added to ledger.rollups.';

CREATE TABLE ledger.leaf_versions (
  bucket integer NOT NULL,
  cause text NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (bucket, cause)
) WITH (fillfactor = 10);
COMMENT ON TABLE ledger.leaf_versions IS
  'Raised whenever the leaves of a bucket, or how far they are rolled up, change: readers that '
  'remember them see that they have to look again.';

CREATE FUNCTION ledger.note_late_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ledger.rollup_deltas (leaf, account_id, id, amount, created_at)
  VALUES (TG_TABLE_NAME, NEW.account_id, NEW.id, NEW.amount, NEW.created_at);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ledger.note_late_entry() IS
  'Trigger of leaves that are rolled up, for entries of the part that is.';
