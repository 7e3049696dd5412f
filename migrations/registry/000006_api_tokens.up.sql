-- Bearer tokens of the admin API, hashed: 256 random bits need no slow hash.
CREATE TABLE dermaga.api_tokens (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name       text NOT NULL CHECK (name <> ''),
  prefix     text NOT NULL CHECK (length(prefix) = 8),  -- to recognise one in a list
  sha256     bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
  role       text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  created_at timestamptz NOT NULL DEFAULT now()
);
