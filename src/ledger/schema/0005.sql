-- A page of conflicts is read in this order: all that one flush detects have the same time, and there
-- may be as many as it has rows.
DROP INDEX ledger.conflicts_detected_at;
CREATE INDEX conflicts_order ON ledger.conflicts (detected_at, account_id, id, amount);
