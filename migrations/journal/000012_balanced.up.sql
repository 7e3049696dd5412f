-- A posted entry has at least two lines, and debit equals credit. Checked at
-- commit, so that lines may come one by one. Names are qualified: otherwise a
-- temporary table of the same name would be asked.
CREATE FUNCTION check_entry_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE e bigint; s text; d numeric; k numeric; n int;
BEGIN
  IF TG_TABLE_NAME = 'journal_entries' THEN
    e := NEW.id;
  ELSE
    e := CASE WHEN TG_OP = 'DELETE' THEN OLD.entry_id ELSE NEW.entry_id END;
  END IF;
  SELECT status INTO s FROM public.journal_entries WHERE id = e;
  IF s IS NULL OR s = 'DRAFT' THEN
    RETURN NULL;
  END IF;
  SELECT coalesce(sum(debit), 0), coalesce(sum(credit), 0), count(*) INTO d, k, n
    FROM public.journal_lines WHERE entry_id = e;
  IF n < 2 OR d <> k THEN
    RAISE EXCEPTION 'journal entry % is not balanced: debit %, credit %, % lines', e, d, k, n
      USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_entry_balanced';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER lines_balanced AFTER INSERT OR UPDATE OR DELETE ON journal_lines
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_entry_balanced();
CREATE CONSTRAINT TRIGGER entry_balanced AFTER INSERT OR UPDATE OF status ON journal_entries
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_entry_balanced();
