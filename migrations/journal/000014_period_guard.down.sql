DROP TRIGGER entries_period ON journal_entries;
DROP FUNCTION check_period();
