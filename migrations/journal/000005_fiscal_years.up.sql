CREATE TABLE fiscal_years (
  id        int PRIMARY KEY CHECK (id BETWEEN 1990 AND 2200),
  starts_on date NOT NULL,
  ends_on   date NOT NULL,
  closed_at timestamptz,
  CHECK (ends_on > starts_on)
);
