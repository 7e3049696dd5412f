-- What a new company starts with. Running it again changes nothing: every
-- statement leaves alone what is there, edited or not.
-- The first accounting year comes in as the setting journal.seed_year.
--
-- Chart of accounts: SAK EMKM prescribes no numbers; these are the common habit
-- (1 assets, 2 liabilities, 3 equity, 4 revenue, 5 cost, 6 operating, 7 and 8
-- other, 9 income tax).
INSERT INTO accounts (code, name_id, name_en, type, normal_side, is_postable, is_contra) VALUES
  ('1-0000', 'ASET', 'ASSETS', 'ASSET', 'D', false, false),
  ('1-1000', 'Aset Lancar', 'Current assets', 'ASSET', 'D', false, false),
  ('1-1100', 'Kas', 'Cash on hand', 'ASSET', 'D', true, false),
  ('1-1110', 'Kas Kecil', 'Petty cash', 'ASSET', 'D', true, false),
  ('1-1200', 'Bank', 'Bank', 'ASSET', 'D', true, false),
  ('1-1210', 'Deposito', 'Time deposits', 'ASSET', 'D', true, false),
  ('1-1300', 'Piutang Usaha', 'Trade receivables', 'ASSET', 'D', true, false),
  ('1-1310', 'Cadangan Kerugian Piutang', 'Allowance for receivables', 'ASSET', 'K', true, true),
  ('1-1320', 'Piutang Karyawan', 'Employee receivables', 'ASSET', 'D', true, false),
  ('1-1400', 'Persediaan Barang Dagang', 'Merchandise inventory', 'ASSET', 'D', true, false),
  ('1-1410', 'Persediaan Bahan Baku', 'Raw materials', 'ASSET', 'D', true, false),
  ('1-1500', 'Perlengkapan', 'Supplies', 'ASSET', 'D', true, false),
  ('1-1600', 'Beban Dibayar di Muka', 'Prepaid expenses', 'ASSET', 'D', true, false),
  ('1-1610', 'Uang Muka Pembelian', 'Advances to suppliers', 'ASSET', 'D', true, false),
  ('1-1700', 'PPN Masukan', 'VAT in', 'ASSET', 'D', true, false),
  ('1-1710', 'PPh 22 Dibayar di Muka', 'Prepaid income tax art. 22', 'ASSET', 'D', true, false),
  ('1-1720', 'PPh 23 Dibayar di Muka', 'Prepaid income tax art. 23', 'ASSET', 'D', true, false),
  ('1-1730', 'PPh 25 Dibayar di Muka', 'Prepaid income tax art. 25', 'ASSET', 'D', true, false),
  ('1-2000', 'Aset Tetap', 'Fixed assets', 'ASSET', 'D', false, false),
  ('1-2100', 'Tanah', 'Land', 'ASSET', 'D', true, false),
  ('1-2200', 'Bangunan', 'Buildings', 'ASSET', 'D', true, false),
  ('1-2210', 'Akumulasi Penyusutan Bangunan', 'Accumulated depreciation, buildings', 'ASSET', 'K', true, true),
  ('1-2300', 'Kendaraan', 'Vehicles', 'ASSET', 'D', true, false),
  ('1-2310', 'Akumulasi Penyusutan Kendaraan', 'Accumulated depreciation, vehicles', 'ASSET', 'K', true, true),
  ('1-2400', 'Peralatan', 'Equipment', 'ASSET', 'D', true, false),
  ('1-2410', 'Akumulasi Penyusutan Peralatan', 'Accumulated depreciation, equipment', 'ASSET', 'K', true, true),
  ('1-2500', 'Aset Takberwujud', 'Intangible assets', 'ASSET', 'D', true, false),
  ('1-2510', 'Akumulasi Amortisasi', 'Accumulated amortisation', 'ASSET', 'K', true, true),
  ('2-0000', 'LIABILITAS', 'LIABILITIES', 'LIABILITY', 'K', false, false),
  ('2-1000', 'Liabilitas Jangka Pendek', 'Current liabilities', 'LIABILITY', 'K', false, false),
  ('2-1100', 'Utang Usaha', 'Trade payables', 'LIABILITY', 'K', true, false),
  ('2-1200', 'Beban yang Masih Harus Dibayar', 'Accrued expenses', 'LIABILITY', 'K', true, false),
  ('2-1210', 'Utang Gaji', 'Salaries payable', 'LIABILITY', 'K', true, false),
  ('2-1220', 'Utang BPJS', 'Social security payable', 'LIABILITY', 'K', true, false),
  ('2-1300', 'Pendapatan Diterima di Muka', 'Unearned revenue', 'LIABILITY', 'K', true, false),
  ('2-1400', 'PPN Keluaran', 'VAT out', 'LIABILITY', 'K', true, false),
  ('2-1410', 'Utang PPN', 'VAT payable', 'LIABILITY', 'K', true, false),
  ('2-1420', 'Utang PPh 21', 'Income tax art. 21 payable', 'LIABILITY', 'K', true, false),
  ('2-1430', 'Utang PPh 23', 'Income tax art. 23 payable', 'LIABILITY', 'K', true, false),
  ('2-1440', 'Utang PPh 4(2)', 'Final income tax art. 4(2) payable', 'LIABILITY', 'K', true, false),
  ('2-1450', 'Utang PPh 25', 'Income tax art. 25 payable', 'LIABILITY', 'K', true, false),
  ('2-1460', 'Utang PPh 29', 'Income tax art. 29 payable', 'LIABILITY', 'K', true, false),
  ('2-1470', 'Utang PPh Final UMKM', 'Final income tax (SME) payable', 'LIABILITY', 'K', true, false),
  ('2-1500', 'Utang Bank Jangka Pendek', 'Short-term bank loans', 'LIABILITY', 'K', true, false),
  ('2-2000', 'Liabilitas Jangka Panjang', 'Long-term liabilities', 'LIABILITY', 'K', false, false),
  ('2-2100', 'Utang Bank Jangka Panjang', 'Long-term bank loans', 'LIABILITY', 'K', true, false),
  ('2-2200', 'Utang Pemegang Saham', 'Shareholder loans', 'LIABILITY', 'K', true, false),
  ('3-0000', 'EKUITAS', 'EQUITY', 'EQUITY', 'K', false, false),
  ('3-1000', 'Modal', 'Paid-in capital', 'EQUITY', 'K', true, false),
  ('3-1100', 'Prive / Dividen', 'Drawings / dividends', 'EQUITY', 'D', true, true),
  ('3-2000', 'Saldo Laba (Defisit)', 'Retained earnings (deficit)', 'EQUITY', 'K', true, false),
  ('3-3000', 'Laba Tahun Berjalan', 'Profit for the year', 'EQUITY', 'K', true, false),
  ('3-9000', 'Saldo Awal', 'Opening balance equity', 'EQUITY', 'K', true, false),
  ('4-0000', 'PENDAPATAN', 'REVENUE', 'REVENUE', 'K', false, false),
  ('4-1000', 'Penjualan', 'Sales', 'REVENUE', 'K', true, false),
  ('4-1010', 'Pendapatan Jasa', 'Service revenue', 'REVENUE', 'K', true, false),
  ('4-1100', 'Retur Penjualan', 'Sales returns', 'REVENUE', 'D', true, true),
  ('4-1200', 'Potongan Penjualan', 'Sales discounts', 'REVENUE', 'D', true, true),
  ('5-0000', 'BEBAN POKOK', 'COST OF SALES', 'EXPENSE', 'D', false, false),
  ('5-1000', 'Beban Pokok Penjualan', 'Cost of goods sold', 'EXPENSE', 'D', true, false),
  ('5-1100', 'Ongkos Angkut Pembelian', 'Freight in', 'EXPENSE', 'D', true, false),
  ('6-0000', 'BEBAN USAHA', 'OPERATING EXPENSES', 'EXPENSE', 'D', false, false),
  ('6-1000', 'Beban Gaji', 'Salaries', 'EXPENSE', 'D', true, false),
  ('6-1010', 'Beban THR dan Tunjangan', 'Holiday and other allowances', 'EXPENSE', 'D', true, false),
  ('6-1020', 'Beban BPJS', 'Social security', 'EXPENSE', 'D', true, false),
  ('6-1100', 'Beban Sewa', 'Rent', 'EXPENSE', 'D', true, false),
  ('6-1200', 'Beban Listrik, Air, dan Telepon', 'Utilities', 'EXPENSE', 'D', true, false),
  ('6-1210', 'Beban Internet dan Langganan', 'Internet and subscriptions', 'EXPENSE', 'D', true, false),
  ('6-1300', 'Beban Perlengkapan Kantor', 'Office supplies', 'EXPENSE', 'D', true, false),
  ('6-1400', 'Beban Transportasi dan Perjalanan', 'Transport and travel', 'EXPENSE', 'D', true, false),
  ('6-1500', 'Beban Pemasaran', 'Marketing', 'EXPENSE', 'D', true, false),
  ('6-1600', 'Beban Jasa Profesional', 'Professional fees', 'EXPENSE', 'D', true, false),
  ('6-1700', 'Beban Pemeliharaan', 'Repairs and maintenance', 'EXPENSE', 'D', true, false),
  ('6-1800', 'Beban Asuransi', 'Insurance', 'EXPENSE', 'D', true, false),
  ('6-1900', 'Beban Penyusutan', 'Depreciation', 'EXPENSE', 'D', true, false),
  ('6-1910', 'Beban Amortisasi', 'Amortisation', 'EXPENSE', 'D', true, false),
  ('6-1950', 'Beban Kerugian Piutang', 'Bad debts', 'EXPENSE', 'D', true, false),
  ('6-1990', 'Beban Lain-lain Usaha', 'Other operating expenses', 'EXPENSE', 'D', true, false),
  ('7-0000', 'PENDAPATAN LAIN-LAIN', 'OTHER INCOME', 'REVENUE', 'K', false, false),
  ('7-1000', 'Pendapatan Bunga', 'Interest income', 'REVENUE', 'K', true, false),
  ('7-1100', 'Laba Selisih Kurs', 'Foreign exchange gain', 'REVENUE', 'K', true, false),
  ('7-1200', 'Laba Penjualan Aset Tetap', 'Gain on disposal', 'REVENUE', 'K', true, false),
  ('8-0000', 'BEBAN LAIN-LAIN', 'OTHER EXPENSES', 'EXPENSE', 'D', false, false),
  ('8-1000', 'Beban Bunga', 'Interest expense', 'EXPENSE', 'D', true, false),
  ('8-1010', 'Beban Administrasi Bank', 'Bank charges', 'EXPENSE', 'D', true, false),
  ('8-1100', 'Rugi Selisih Kurs', 'Foreign exchange loss', 'EXPENSE', 'D', true, false),
  ('8-1200', 'Rugi Penjualan Aset Tetap', 'Loss on disposal', 'EXPENSE', 'D', true, false),
  ('8-1300', 'Denda dan Sanksi Pajak', 'Tax penalties', 'EXPENSE', 'D', true, false),
  ('9-0000', 'BEBAN PAJAK PENGHASILAN', 'INCOME TAX', 'EXPENSE', 'D', false, false),
  ('9-1000', 'Beban PPh Badan', 'Corporate income tax', 'EXPENSE', 'D', true, false),
  ('9-1100', 'Beban PPh Final', 'Final income tax', 'EXPENSE', 'D', true, false)
ON CONFLICT (code) DO NOTHING;
-- Each account hangs below the nearest heading of its class.
UPDATE accounts c
SET parent_id = p.id
FROM accounts p
WHERE c.parent_id IS NULL AND NOT p.is_postable AND c.id <> p.id
  AND p.code = (
    SELECT max(h.code) FROM accounts h
    WHERE NOT h.is_postable AND h.id <> c.id AND left(h.code, 1) = left(c.code, 1) AND h.code < c.code
      AND (c.is_postable OR right(h.code, 4) = '0000'));

INSERT INTO account_roles (role, account_id)
SELECT v.role, a.id
FROM (VALUES
  ('cash', '1-1100'), ('bank', '1-1200'), ('ar', '1-1300'), ('inventory', '1-1400'),
  ('vat_in', '1-1700'), ('ap', '2-1100'), ('vat_out', '2-1400'), ('vat_payable', '2-1410'),
  ('retained_earnings', '3-2000'), ('current_earnings', '3-3000'), ('opening_balance', '3-9000'), ('sales', '4-1000'),
  ('cogs', '5-1000'), ('fx_gain', '7-1100'), ('fx_loss', '8-1100'), ('bank_charges', '8-1010')
) v (role, code)
JOIN accounts a USING (code)
ON CONFLICT DO NOTHING;

INSERT INTO taxes (code, name_id, name_en, kind, legal_basis, payable_account_id, receivable_account_id)
SELECT v.code, v.name_id, v.name_en, v.kind, v.legal_basis,
  (SELECT id FROM accounts a WHERE a.code = v.payable), (SELECT id FROM accounts a WHERE a.code = v.receivable)
FROM (VALUES
  ('PPN-K', 'PPN Keluaran', 'VAT out', 'VAT_OUT', 'UU 7/2021 (HPP); PMK 131/2024', '2-1400', NULL),
  ('PPN-K-MEWAH', 'PPN Keluaran barang mewah', 'VAT out, luxury goods', 'VAT_OUT', 'UU 7/2021; PMK 131/2024 ps. 2', '2-1400', NULL),
  ('PPN-K-EKSPOR', 'PPN Ekspor 0%', 'VAT on exports, 0%', 'VAT_OUT', 'UU PPN ps. 7(2)', '2-1400', NULL),
  ('PPN-M', 'PPN Masukan', 'VAT in', 'VAT_IN', 'UU 7/2021; PMK 131/2024', NULL, '1-1700'),
  ('PPH21-TER', 'PPh 21 pegawai tetap (TER)', 'Income tax art. 21, monthly effective rates', 'WITHHOLDING', 'PP 58/2023; PMK 168/2023', '2-1420', NULL),
  ('PPH21-BP', 'PPh 21 bukan pegawai (50% bruto)', 'Income tax art. 21, non-employees', 'WITHHOLDING', 'PMK 168/2023; UU PPh ps. 17', '2-1420', NULL),
  ('PPH23-JASA', 'PPh 23 jasa', 'Income tax art. 23, services', 'WITHHOLDING', 'UU PPh ps. 23(1)c; PMK 141/2015', '2-1430', '1-1720'),
  ('PPH23-SEWA', 'PPh 23 sewa selain tanah/bangunan', 'Income tax art. 23, rent of other assets', 'WITHHOLDING', 'UU PPh ps. 23(1)c', '2-1430', '1-1720'),
  ('PPH23-MODAL', 'PPh 23 dividen, bunga, royalti', 'Income tax art. 23, dividends, interest, royalties', 'WITHHOLDING', 'UU PPh ps. 23(1)a', '2-1430', '1-1720'),
  ('PPH42-SEWA', 'PPh 4(2) sewa tanah/bangunan', 'Final tax art. 4(2), rent of land and buildings', 'WITHHOLDING', 'PP 34/2017', '2-1440', NULL),
  ('PPH42-KONS-K', 'PPh 4(2) konstruksi, kualifikasi kecil', 'Final tax, construction, small contractor', 'WITHHOLDING', 'PP 9/2022', '2-1440', NULL),
  ('PPH42-KONS-M', 'PPh 4(2) konstruksi, kualifikasi menengah/besar', 'Final tax, construction, medium or large', 'WITHHOLDING', 'PP 9/2022', '2-1440', NULL),
  ('PPH42-KONS-T', 'PPh 4(2) konstruksi, tanpa sertifikat', 'Final tax, construction, no certificate', 'WITHHOLDING', 'PP 9/2022', '2-1440', NULL),
  ('PPH42-BUNGA', 'PPh 4(2) bunga deposito/tabungan', 'Final tax, bank interest', 'INCOME_FINAL', 'PP 123/2015', '2-1440', NULL),
  ('PPH25', 'PPh 25 angsuran', 'Income tax art. 25, instalments', 'INCOME', 'UU PPh ps. 25', '2-1450', '1-1730'),
  ('PPH-BADAN', 'PPh Badan (ps. 17), kurang bayar = PPh 29', 'Corporate income tax; balance due = art. 29', 'INCOME', 'UU 7/2021 ps. 17(1)b', '2-1460', NULL),
  ('PPH-BADAN-31E', 'PPh Badan dengan fasilitas ps. 31E', 'Corporate income tax, art. 31E half rate', 'INCOME', 'UU PPh ps. 31E', '2-1460', NULL),
  ('PPH-UMKM', 'PPh Final UMKM', 'Final income tax for small business', 'INCOME_FINAL', 'PP 55/2022', '2-1470', NULL)
) v (code, name_id, name_en, kind, legal_basis, payable, receivable)
ON CONFLICT (code) DO NOTHING;

-- "not verified" marks what came from general knowledge and was not looked up in
-- the law: an accountant has to confirm it. Looked up were PMK 131/2024,
-- PMK 168/2023, PP 55/2022 and the rates of PPh 23.
INSERT INTO tax_rates (tax_id, valid_from, valid_to, rate, base_numerator, base_denominator, note)
SELECT t.id, v.valid_from::date, v.valid_to::date, v.rate, v.base_numerator, v.base_denominator, v.note
FROM (VALUES
  ('PPN-K', '1985-04-01', '2022-03-31', 0.10, 1, 1, 'not verified: start date'),
  ('PPN-K', '2022-04-01', '2024-12-31', 0.11, 1, 1, 'not verified: start date'),
  ('PPN-K', '2025-01-01', NULL, 0.12, 11, 12, 'DPP nilai lain 11/12: effective 11%'),
  ('PPN-M', '1985-04-01', '2022-03-31', 0.10, 1, 1, 'not verified: start date'),
  ('PPN-M', '2022-04-01', '2024-12-31', 0.11, 1, 1, 'not verified: start date'),
  ('PPN-M', '2025-01-01', NULL, 0.12, 11, 12, 'DPP nilai lain 11/12'),
  ('PPN-K-MEWAH', '2025-01-01', '2025-01-31', 0.12, 11, 12, 'January 2025, to end consumers'),
  ('PPN-K-MEWAH', '2025-02-01', NULL, 0.12, 1, 1, 'full price as base'),
  ('PPN-K-EKSPOR', '1985-04-01', NULL, 0, 1, 1, 'not verified: start date'),
  ('PPH21-BP', '2024-01-01', NULL, 0.05, 1, 2, 'first bracket of art. 17 on 50% of gross; the rest by table'),
  ('PPH23-JASA', '2009-01-01', NULL, 0.02, 1, 1, 'not verified: start date; doubled without NPWP'),
  ('PPH23-SEWA', '2009-01-01', NULL, 0.02, 1, 1, 'not verified: start date'),
  ('PPH23-MODAL', '2009-01-01', NULL, 0.15, 1, 1, 'not verified: start date'),
  ('PPH42-SEWA', '2018-01-02', NULL, 0.10, 1, 1, 'not verified: rate, start date and decree number (PP 34/2017)'),
  ('PPH42-KONS-K', '2022-02-21', NULL, 0.0175, 1, 1, 'not verified: rate, start date and decree number (PP 9/2022)'),
  ('PPH42-KONS-M', '2022-02-21', NULL, 0.0265, 1, 1, 'not verified: rate, start date and decree number (PP 9/2022)'),
  ('PPH42-KONS-T', '2022-02-21', NULL, 0.04, 1, 1, 'not verified: rate, start date and decree number (PP 9/2022)'),
  ('PPH42-BUNGA', '2001-01-01', NULL, 0.20, 1, 1, 'not verified: rate, start date and decree number (PP 123/2015)'),
  ('PPH-BADAN', '2020-01-01', NULL, 0.22, 1, 1, 'not verified: rate and start date'),
  ('PPH-BADAN-31E', '2020-01-01', NULL, 0.22, 1, 2, 'not verified: art. 31E (rate, conditions, start date); on the part of taxable income that belongs to the first Rp4.8 bn of turnover; turnover up to Rp50 bn'),
  ('PPH-UMKM', '2018-07-01', NULL, 0.005, 1, 1, 'not verified: start date; turnover up to Rp4.8 bn; individuals: first Rp500 m a year free since 2022')
) v (code, valid_from, valid_to, rate, base_numerator, base_denominator, note)
JOIN taxes t USING (code)
WHERE NOT EXISTS (SELECT FROM tax_rates x WHERE x.tax_id = t.id AND x.valid_from = v.valid_from::date);

INSERT INTO fiscal_years (id, starts_on, ends_on)
SELECT y, make_date(y, 1, 1), make_date(y, 12, 31)
FROM current_setting('journal.seed_year') s, LATERAL CAST(s AS int) y
ON CONFLICT DO NOTHING;

INSERT INTO periods (fiscal_year_id, name, starts_on, ends_on)
SELECT y, to_char(m, 'YYYY-MM'), m::date, (m + interval '1 month - 1 day')::date
FROM current_setting('journal.seed_year') s, LATERAL CAST(s AS int) y,
  LATERAL generate_series(make_date(y, 1, 1)::timestamp, make_date(y, 12, 1)::timestamp, interval '1 month') m
ON CONFLICT DO NOTHING;

-- JU journal, BKM and BKK cash in and out, INV and BILL: each counts from one every year.
INSERT INTO document_numbers (prefix, fiscal_year_id)
SELECT p, CAST(current_setting('journal.seed_year') AS int)
FROM unnest(ARRAY['JU', 'BKM', 'BKK', 'INV', 'BILL']) p
ON CONFLICT DO NOTHING;
