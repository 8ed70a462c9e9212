-- Days whose entries are in files (archive.ts). What comes later with such an id is kept apart: it
-- may be one of those, and only they could tell.

CREATE TABLE ledger.archived_days (
  bucket integer NOT NULL,
  day date NOT NULL,
  low uuid NOT NULL,
  high uuid NOT NULL,
  leaf text NOT NULL,
  closing uuid NOT NULL DEFAULT gen_random_uuid(),
  closed_at timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz,
  entries bigint,
  sum numeric,
  latest timestamptz,
  manifest text,
  PRIMARY KEY (bucket, day)
);
COMMENT ON TABLE ledger.archived_days IS
  'Days of a bucket that take no more entries, and whether theirs are in files instead.';
COMMENT ON COLUMN ledger.archived_days.low IS 'Ids of the day are not below it.';
COMMENT ON COLUMN ledger.archived_days.high IS 'Ids of the day are below it.';
COMMENT ON COLUMN ledger.archived_days.leaf IS
  'What ledger.rollup_leaves has for the whole day once it is archived.';
COMMENT ON COLUMN ledger.archived_days.closing IS
  'Names the files that hold exactly what the day held when it was closed.';
COMMENT ON COLUMN ledger.archived_days.archived_at IS
  'Since when the entries are in files only; null while they are in the tables still.';
COMMENT ON COLUMN ledger.archived_days.latest IS 'The last created_at of its entries.';
COMMENT ON COLUMN ledger.archived_days.manifest IS 'SHA-256 of the manifest of its files.';

CREATE TABLE ledger.held_entries (
  place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id uuid NOT NULL,
  id uuid NOT NULL,
  amount bigint NOT NULL,
  created_at timestamptz NOT NULL,
  held_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (account_id, id, amount)
);
COMMENT ON TABLE ledger.held_entries IS
  'Entries that came with an id of a closed day. They count in no balance until the day is '
  'restored: then each is an entry, a repetition or a conflict.';
COMMENT ON COLUMN ledger.held_entries.place IS 'In the order of the log among equal keys.';

CREATE FUNCTION ledger.refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE unique_violation USING
    CONSTRAINT = 'archived',
    MESSAGE = format('%I takes no entries: its day is archived, or about to be', TG_TABLE_NAME);
END
$$;
COMMENT ON FUNCTION ledger.refuse_entry() IS
  'Trigger of the leaves of closed days. As a repeated key would, it sends a flush the slow way.';
