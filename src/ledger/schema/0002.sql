-- The key belongs to the leaves. A partitioned index would have to exist in every leaf at all
-- times, and a leaf under heavy load gets its key when it is full (open-leaves.ts). Leaves that
-- exist get theirs back here, which takes as long as building them.

ALTER TABLE ledger.transactions DROP CONSTRAINT transactions_pkey;
DROP INDEX ledger.transactions_id;

DO $$
DECLARE
  leaf record;
BEGIN
  FOR leaf IN
    SELECT c.relname AS name
    FROM pg_partition_tree('ledger.transactions') t JOIN pg_class c ON c.oid = t.relid
    WHERE t.isleaf AND t.level > 0
  LOOP
    EXECUTE format('CREATE UNIQUE INDEX %I ON ledger.%I (account_id, id)',
      leaf.name || '_key', leaf.name);
    EXECUTE format('CREATE INDEX %I ON ledger.%I USING brin (id)', leaf.name || '_id', leaf.name);
  END LOOP;
END
$$;

COMMENT ON TABLE ledger.transactions IS
  'Every entry, exactly once. Hash partitions by account (buckets), in each range partitions by '
  'id: days for UUIDv7 ids, and a default leaf for every other id; in a day, leaves of some '
  'seconds while the load is heavy, and one for the rest. Every leaf has a unique key '
  '(account_id, id), but for those being filled under heavy load: they get theirs when full.';
