CREATE TABLE users (
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email       text NOT NULL,
  name        text NOT NULL,
  role        text NOT NULL DEFAULT 'STAFF' CHECK (role IN ('OWNER', 'ACCOUNTANT', 'STAFF', 'VIEWER')),
  created_at  timestamptz NOT NULL DEFAULT now(),
  disabled_at timestamptz
);
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
