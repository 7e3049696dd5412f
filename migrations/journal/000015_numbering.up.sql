CREATE TABLE document_numbers (
  prefix         text NOT NULL,
  fiscal_year_id int NOT NULL REFERENCES fiscal_years,
  last_no        int NOT NULL DEFAULT 0,
  PRIMARY KEY (prefix, fiscal_year_id)
);
COMMENT ON TABLE document_numbers IS 'gapless numbers by row lock, not a sequence: tax documents must not skip';
