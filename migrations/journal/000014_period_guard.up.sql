-- An entry lies in its period, and nothing is posted into a closed one. An entry
-- of a closed period can still be marked as reversed by one of an open period.
CREATE FUNCTION check_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE p public.periods;
BEGIN
  SELECT * INTO p FROM public.periods WHERE id = NEW.period_id FOR SHARE;
  IF NEW.entry_date NOT BETWEEN p.starts_on AND p.ends_on THEN
    RAISE EXCEPTION 'entry date % is outside period %', NEW.entry_date, p.name USING ERRCODE = 'check_violation';
  END IF;
  IF p.status <> 'OPEN' AND NEW.status <> 'DRAFT' AND (TG_OP = 'INSERT' OR OLD.status = 'DRAFT') THEN
    RAISE EXCEPTION 'period % is %', p.name, p.status USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER entries_period BEFORE INSERT OR UPDATE OF period_id, entry_date, status ON journal_entries
  FOR EACH ROW EXECUTE FUNCTION check_period();
