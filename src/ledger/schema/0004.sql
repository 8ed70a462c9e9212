-- The records of a partition get strictly later times one after the other, so that what was
-- committed can be read in order (GET /v1/changes).

ALTER TABLE ledger.checkpoints
  ADD COLUMN last_created_at timestamptz,
  ADD COLUMN pause_from timestamptz,
  ADD COLUMN pause_to timestamptz;
COMMENT ON COLUMN ledger.checkpoints.pause_to IS
  'The partition has no rows created after pause_from and before this: its last pause of a second '
  'or more. Whoever has all rows up to pause_from need not look for any in between.';
COMMENT ON COLUMN ledger.checkpoints.last_created_at IS
  'When the rows of the last record before next_offset were created. All rows of the partition that '
  'are this old or older are in the tables, and every row to come is younger.';
-- No record is older than its flush. Claims of before are void: a program that does not know the
-- column would leave it behind.
UPDATE ledger.checkpoints SET last_created_at = updated_at, epoch = epoch + 1
WHERE next_offset > 0;

-- Rows are found by their time as well, which takes reading every leaf once.
DO $$
DECLARE
  leaf record;
BEGIN
  FOR leaf IN
    SELECT c.relname AS name
    FROM pg_partition_tree('ledger.transactions') t JOIN pg_class c ON c.oid = t.relid
    WHERE t.isleaf AND t.level > 0
      AND to_regclass(format('ledger.%I', c.relname || '_id')) IS NOT NULL
  LOOP
    EXECUTE format('DROP INDEX ledger.%I', leaf.name || '_id');
    EXECUTE format('CREATE INDEX %I ON ledger.%I USING brin (id, created_at)',
      leaf.name || '_id', leaf.name);
  END LOOP;
END
$$;
