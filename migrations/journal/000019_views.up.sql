CREATE VIEW trial_balance AS
SELECT a.id AS account_id, a.code, a.name_id, a.type, e.period_id, sum(l.debit) AS debit, sum(l.credit) AS credit
FROM journal_lines l
JOIN journal_entries e ON e.id = l.entry_id
JOIN accounts a ON a.id = l.account_id
WHERE e.status <> 'DRAFT'
GROUP BY a.id, e.period_id;
