CREATE TABLE company (
  id                      boolean PRIMARY KEY DEFAULT true CHECK (id),  -- exactly one row
  name                    text NOT NULL,
  npwp                    text CHECK (npwp ~ '^[0-9]{15,16}$'),
  nitku                   text CHECK (nitku ~ '^[0-9]{22}$'),
  is_pkp                  boolean NOT NULL DEFAULT false,               -- registered for VAT
  pkp_since               date,
  base_currency           char(3) NOT NULL DEFAULT 'IDR',
  timezone                text NOT NULL DEFAULT 'Asia/Jakarta',
  fiscal_year_start_month smallint NOT NULL DEFAULT 1 CHECK (fiscal_year_start_month BETWEEN 1 AND 12),
  reporting_standard      text NOT NULL DEFAULT 'SAK_EMKM' CHECK (reporting_standard IN ('SAK_EMKM', 'SAK_EP', 'SAK'))
);
