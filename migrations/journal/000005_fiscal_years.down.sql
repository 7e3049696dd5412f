DROP TABLE fiscal_years;
