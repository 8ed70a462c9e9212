-- A hash chain over what was committed, partition by partition, so that nothing of it can be changed
-- later without a trace (chain/links.ts).

CREATE TABLE ledger.chain (
  partition integer NOT NULL,
  link bigint NOT NULL CHECK (link > 0),
  to_created_at timestamptz NOT NULL,
  to_offset bigint NOT NULL CHECK (to_offset >= 0),
  rows bigint NOT NULL,
  sum numeric NOT NULL,
  conflicts bigint NOT NULL,
  quarantined bigint NOT NULL,
  content bytea NOT NULL,
  hash bytea NOT NULL,
  linked_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (partition, link)
);
COMMENT ON TABLE ledger.chain IS
  'Links, from 1 on without gaps in each partition: what was committed after the link before, up to '
  'to_created_at and to_offset. Written once, some time after the rows, and never changed.';
COMMENT ON COLUMN ledger.chain.to_created_at IS
  'The last created_at of rows and conflicts that the link covers.';
COMMENT ON COLUMN ledger.chain.to_offset IS
  'Quarantined records below it are covered. Where it is higher than in the link before, a checkpoint '
  'stood exactly at to_offset and to_created_at.';
COMMENT ON COLUMN ledger.chain.content IS
  'SHA-256 of three SHA-256: of the rows by (created_at, account_id, id), of the conflicts by '
  '(created_at, account_id, id, amount), of the quarantined records by log_offset.';
COMMENT ON COLUMN ledger.chain.hash IS
  'SHA-256 of the hash of the link before (32 zero bytes for the first), and of this link''s partition, '
  'link, to_offset, to_created_at, rows, conflicts, quarantined, content and sum as text.';

CREATE VIEW ledger.chain_heads AS
SELECT head.* FROM (SELECT DISTINCT partition FROM ledger.checkpoints) p
CROSS JOIN LATERAL (
  SELECT * FROM ledger.chain c WHERE c.partition = p.partition ORDER BY link DESC LIMIT 1) head;
COMMENT ON VIEW ledger.chain_heads IS
  'The last link of each partition. Kept elsewhere, they prove later that no link was made anew.';

-- Found by when they were created, at almost no cost to the writer.
CREATE INDEX conflicts_created_at ON ledger.conflicts USING brin (created_at);
