-- What Dermaga logs in with at the servers, sealed.
CREATE TYPE dermaga.role_kind AS ENUM ('owner', 'app', 'readonly');

CREATE TABLE dermaga.encryption_keys (
  id          text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
  check_value bytea NOT NULL CHECK (octet_length(check_value) = 8),
  created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE dermaga.encryption_keys IS
  'never a key: HMAC-SHA-256(key, "dermaga key check") cut to 8 bytes, so that a wrong key is named at start-up';

CREATE TABLE dermaga.credentials (
  tenant_id  uuid NOT NULL REFERENCES dermaga.tenants ON DELETE CASCADE,
  kind       dermaga.role_kind NOT NULL,
  generation int NOT NULL DEFAULT 1 CHECK (generation > 0),
  role       text NOT NULL CHECK (octet_length(role) BETWEEN 1 AND 63),
  key_id     text NOT NULL REFERENCES dermaga.encryption_keys,
  sealed     bytea NOT NULL CHECK (octet_length(sealed) >= 1 + 12 + 16),  -- format byte, nonce, ciphertext, tag
  state      text NOT NULL DEFAULT 'current' CHECK (state IN ('current', 'old')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, kind, generation)
);
CREATE UNIQUE INDEX credentials_one_current ON dermaga.credentials (tenant_id, kind) WHERE state = 'current';

CREATE TABLE dermaga.server_credentials (
  server_id  bigint PRIMARY KEY REFERENCES dermaga.servers ON DELETE CASCADE,
  role       text NOT NULL CHECK (octet_length(role) BETWEEN 1 AND 63),
  key_id     text NOT NULL REFERENCES dermaga.encryption_keys,
  sealed     bytea NOT NULL CHECK (octet_length(sealed) >= 1 + 12 + 16)
);
