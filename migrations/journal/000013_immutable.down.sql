DROP TRIGGER lines_immutable ON journal_lines;
DROP TRIGGER entries_immutable ON journal_entries;
DROP FUNCTION forbid_posted_line_change();
DROP FUNCTION forbid_posted_change();
ALTER TABLE journal_entries DROP COLUMN posted_tx;
