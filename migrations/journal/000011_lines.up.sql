CREATE TABLE journal_lines (
  entry_id    bigint NOT NULL REFERENCES journal_entries ON DELETE CASCADE,
  line_no     int NOT NULL CHECK (line_no > 0),
  account_id  bigint NOT NULL REFERENCES accounts,
  debit       numeric(20,2) NOT NULL DEFAULT 0 CHECK (debit >= 0),
  credit      numeric(20,2) NOT NULL DEFAULT 0 CHECK (credit >= 0),
  memo        text,
  tax_rate_id bigint REFERENCES tax_rates,
  tax_base    numeric(20,2),
  PRIMARY KEY (entry_id, line_no),
  CHECK ((debit = 0) <> (credit = 0))
);
CREATE INDEX journal_lines_account_idx ON journal_lines (account_id, entry_id);
