-- Tokens that end, and requests that are done once however often they are sent.
ALTER TABLE dermaga.api_tokens
  ADD expires_at timestamptz CHECK (isfinite(expires_at)),
  ADD revoked_at timestamptz;

CREATE TABLE dermaga.idempotency_keys (
  token_id       uuid NOT NULL REFERENCES dermaga.api_tokens ON DELETE CASCADE,
  key            text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
  request_sha256 bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
  -- the answer, sealed since it may hold a password; NULL: under way
  key_id         text REFERENCES dermaga.encryption_keys,
  sealed         bytea,
  created_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (token_id, key),
  CHECK ((key_id IS NULL) = (sealed IS NULL))
);
CREATE INDEX idempotency_keys_created ON dermaga.idempotency_keys (created_at);
