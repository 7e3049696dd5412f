CREATE TABLE attachments (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  entry_id   bigint NOT NULL REFERENCES journal_entries ON DELETE CASCADE,
  file_name  text NOT NULL,
  media_type text NOT NULL,
  size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
  sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX attachments_entry_idx ON attachments (entry_id);
