-- The ledger's tables. The buckets of ledger.transactions are created by buckets.ts, since their
-- number is chosen when the ledger is created.

CREATE TABLE ledger.layout (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  buckets integer NOT NULL,
  databases integer NOT NULL,
  database_index integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ledger.layout IS
  'How the ledger is divided. Fixed at creation: rows are placed by it.';
COMMENT ON COLUMN ledger.layout.buckets IS
  'Hash partitions of ledger.transactions over all databases of the ledger; a power of two.';
COMMENT ON COLUMN ledger.layout.databases IS
  'Databases that share the buckets; bucket i is on database floor(i * databases / buckets).';
COMMENT ON COLUMN ledger.layout.database_index IS
  'Which of these databases this one is, from 0.';

CREATE TABLE ledger.transactions (
  account_id uuid NOT NULL,
  id uuid NOT NULL,
  amount bigint NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (account_id, id)
) PARTITION BY HASH (account_id);
COMMENT ON TABLE ledger.transactions IS
  'Every entry, exactly once. Hash partitions by account (buckets), in each range partitions by id '
  '(leaves): a day each for UUIDv7 ids, and a default leaf for every other id.';
COMMENT ON COLUMN ledger.transactions.id IS
  'Chosen by the client. (account_id, id) is the identity of an entry; the same id on several '
  'accounts is one transfer.';
COMMENT ON COLUMN ledger.transactions.amount IS
  'In the smallest unit of the account''s currency. Sums are numeric.';
COMMENT ON COLUMN ledger.transactions.created_at IS
  'When the entry was accepted into the log, so that a replay writes the same row.';

-- Finds the entries of an id alone, at almost no cost to the writer.
CREATE INDEX transactions_id ON ledger.transactions USING brin (id);

-- Few rows, updated all the time: room on each page keeps the updates within it.
CREATE TABLE ledger.checkpoints (
  partition integer PRIMARY KEY,
  next_offset bigint NOT NULL CHECK (next_offset >= 0),
  epoch bigint NOT NULL,
  owner text NOT NULL,
  log_identity text NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE ledger.checkpoints IS
  'How far each partition of the log has been written to these tables, in the same transactions. '
  'Only the program may change it: a wrong offset loses or repeats records.';
COMMENT ON COLUMN ledger.checkpoints.next_offset IS
  'The first offset of the log partition that is not yet in the tables.';
COMMENT ON COLUMN ledger.checkpoints.epoch IS
  'Raised by each claim. A process that holds an older epoch can no longer write.';
COMMENT ON COLUMN ledger.checkpoints.owner IS 'The process that claimed the partition last.';
COMMENT ON COLUMN ledger.checkpoints.log_identity IS
  'The log these offsets belong to. Offsets of another log mean other records.';

CREATE TABLE ledger.conflicts (
  account_id uuid NOT NULL,
  id uuid NOT NULL,
  amount bigint NOT NULL,
  recorded_amount bigint NOT NULL,
  created_at timestamptz NOT NULL,
  detected_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, id, amount)
);
COMMENT ON TABLE ledger.conflicts IS
  'Entries that were accepted although (account_id, id) already stood in the ledger with another '
  'amount. They are not in ledger.transactions and count in no balance.';
COMMENT ON COLUMN ledger.conflicts.amount IS 'The amount that was refused.';
COMMENT ON COLUMN ledger.conflicts.recorded_amount IS 'The amount that stands in the ledger.';
COMMENT ON COLUMN ledger.conflicts.created_at IS
  'When the refused entry was accepted into the log.';
CREATE INDEX conflicts_detected_at ON ledger.conflicts (detected_at);

CREATE TABLE ledger.quarantine (
  log_identity text NOT NULL,
  partition integer NOT NULL,
  log_offset bigint NOT NULL,
  reason text NOT NULL,
  bytes bytea NOT NULL,
  created_at timestamptz NOT NULL,
  quarantined_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (partition, log_offset, log_identity)
);
COMMENT ON TABLE ledger.quarantine IS
  'Log records that are no batch of transactions of their partition, kept whole.';
COMMENT ON COLUMN ledger.quarantine.reason IS 'What was expected, what was found, and where.';
COMMENT ON COLUMN ledger.quarantine.created_at IS 'The record''s timestamp in the log.';
