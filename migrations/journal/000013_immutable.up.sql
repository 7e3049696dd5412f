-- A posted entry and its lines stay as they are; a mistake is reversed by
-- another entry. Lines may join a posted entry only in the transaction that
-- posted it, which posted_tx remembers.
ALTER TABLE journal_entries ADD COLUMN posted_tx bigint;

CREATE FUNCTION forbid_posted_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.status <> 'DRAFT' AND NOT (
      TG_OP = 'UPDATE' AND OLD.status = 'POSTED' AND NEW.status = 'REVERSED'
      AND to_jsonb(NEW) - 'status' = to_jsonb(OLD) - 'status') THEN
    RAISE EXCEPTION 'entry % is posted and cannot be changed; post a reversal', OLD.id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  IF NEW.status = 'DRAFT' THEN
    NEW.posted_tx := NULL;
  ELSIF TG_OP = 'INSERT' OR OLD.status = 'DRAFT' THEN
    NEW.posted_tx := pg_current_xact_id()::text::bigint;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER entries_immutable BEFORE INSERT OR UPDATE OR DELETE ON journal_entries
  FOR EACH ROW EXECUTE FUNCTION forbid_posted_change();

CREATE FUNCTION forbid_posted_line_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE e record;
BEGIN
  -- FOR SHARE makes a posting wait for a line that is being written, and the
  -- line for the posting: neither can slip past the other's check.
  IF TG_OP <> 'INSERT' THEN
    SELECT status INTO e FROM public.journal_entries WHERE id = OLD.entry_id FOR SHARE;
    IF e.status <> 'DRAFT' THEN
      RAISE EXCEPTION 'lines of posted entry % cannot be changed; post a reversal', OLD.entry_id
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  SELECT status, posted_tx INTO e FROM public.journal_entries WHERE id = NEW.entry_id FOR SHARE;
  IF e.status <> 'DRAFT' AND (TG_OP = 'UPDATE' OR e.posted_tx <> pg_current_xact_id()::text::bigint) THEN
    RAISE EXCEPTION 'posted entry % takes no more lines; post a reversal', NEW.entry_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER lines_immutable BEFORE INSERT OR UPDATE OR DELETE ON journal_lines
  FOR EACH ROW EXECUTE FUNCTION forbid_posted_line_change();
