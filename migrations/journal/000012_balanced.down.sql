DROP TRIGGER entry_balanced ON journal_entries;
DROP TRIGGER lines_balanced ON journal_lines;
DROP FUNCTION check_entry_balanced();
