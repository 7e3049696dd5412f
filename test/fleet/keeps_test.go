package fleet_test

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/jackc/pgerrcode"
)

// draw chooses a setting and a value for it.
func (v *visitor) draw() (name, value string) {
	name = settable[v.IntN(len(settable))]
	return name, chosen[name][v.IntN(len(chosen[name]))]
}

// assignment is a SET of that kind.
func assignment(verb, name, value string) string {
	return fmt.Sprintf("%s %s = '%s'", verb, name, value)
}

// set changes a setting in one of the ways that every mode carries.
func (v *visitor) set(ctx context.Context) (err error) {
	name, value := v.draw()
	switch v.IntN(5) {
	case 0:
		err = v.run(ctx, assignment("SET", name, value))
	case 1:
		_, err = v.askWith(ctx, assignment("SET SESSION", name, value))
	case 2:
		err = v.run(ctx, fmt.Sprintf("SELECT pg_catalog.set_config('%s', '%s', false)", name, value))
	case 3: // undone by the error behind it
		return v.fails(ctx, pgerrcode.DivisionByZero, assignment("SET", name, value)+"; SELECT 1/0")
	case 4:
		err = v.run(ctx, assignment("SET", name, value)+"; SELECT 1")
	}
	if err == nil {
		v.settings[name] = value
	}
	return err
}

// setInTransaction changes settings in a transaction, and undoes some of it.
func (v *visitor) setInTransaction(ctx context.Context) error {
	name, value := v.draw()
	local, passing := v.draw()
	if err := v.run(ctx, "BEGIN", assignment("SET LOCAL", local, passing)); err != nil {
		return err
	}
	got, err := v.ask(ctx, fmt.Sprintf("SELECT pg_catalog.current_setting('%s')", local))
	if err := is(local+" in the transaction", passing, got, err); err != nil {
		return err
	}
	switch v.IntN(4) {
	case 0:
		return v.run(ctx, assignment("SET", name, value), "ROLLBACK")
	case 1:
		return v.run(ctx, "SAVEPOINT s", assignment("SET", name, value), "ROLLBACK TO s", "COMMIT")
	case 2:
		if err := v.run(ctx, assignment("SET", name, value), "COMMIT AND CHAIN", "ROLLBACK"); err != nil {
			return err
		}
	case 3:
		if err := v.run(ctx, assignment("SET", name, value), "COMMIT"); err != nil {
			return err
		}
	}
	v.settings[name] = value
	return nil
}

// reset goes back to what v came with.
func (v *visitor) reset(ctx context.Context) error {
	name, _ := v.draw()
	switch v.IntN(4) {
	case 0:
		v.settings = maps.Clone(v.first)
		return v.run(ctx, "RESET ALL")
	case 1:
		v.settings = maps.Clone(v.first)
		clear(v.prepared)
		clear(v.kept)
		if err := v.run(ctx, "DISCARD ALL"); err != nil {
			return err
		}
		v.unpin()
		return nil
	}
	if v.settings[name] == "" { // PostgreSQL does not know it yet
		return nil
	}
	v.settings[name] = v.first[name]
	return v.run(ctx, "RESET "+name)
}

// setHidden changes a setting where no text shows it. Only modes auto and session
// promise to carry that.
func (v *visitor) setHidden(ctx context.Context) error {
	if v.mode != "auto" && v.mode != "session" {
		return nil
	}
	const name = "work_mem"
	value := chosen[name][v.IntN(len(chosen[name]))]
	v.settings[name] = value
	switch v.IntN(3) {
	case 0:
		return v.run(ctx, fmt.Sprintf("DO $$ BEGIN PERFORM pg_catalog.set_config('work_mem', '%s', false); END $$", value))
	case 1:
		_, err := v.askWith(ctx, "SELECT public.mixed_work_mem($1)", value)
		return err
	}
	return v.run(ctx, fmt.Sprintf("SELECT public.mixed_work_mem('%s')", value))
}

// A bond is state that ties a client to its session.
type bond struct {
	make, use, drop string // MARK is the visitor's, and so is NUMBER
	answer          string // to use
}

var bonds = map[string]bond{
	"listen":   {make: "LISTEN MARK", drop: "UNLISTEN *"},
	"temp":     {make: "CREATE TEMP TABLE mine AS SELECT NUMBER AS x", use: "SELECT x FROM pg_temp.mine", drop: "DROP TABLE pg_temp.mine", answer: "NUMBER"},
	"lock":     {make: "SELECT pg_catalog.pg_advisory_lock(NUMBER)", drop: "SELECT pg_catalog.pg_advisory_unlock(NUMBER)"},
	"prepared": {make: "PREPARE mine AS SELECT NUMBER", use: "EXECUTE mine", drop: "DEALLOCATE mine", answer: "NUMBER"},
	"cursor":   {make: "DECLARE mine SCROLL CURSOR WITH HOLD FOR SELECT NUMBER", use: "FETCH ABSOLUTE 1 FROM mine", drop: "CLOSE mine", answer: "NUMBER"},
}

// anyBond chooses a state: one that v has, or has not.
func (v *visitor) anyBond(has bool) (string, bond) {
	names := []string{"cursor", "listen", "lock", "prepared", "temp"}
	v.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		if v.kept[name] == has {
			return name, bonds[name]
		}
	}
	return "", bond{}
}

// words puts v's own into a text of bonds.
func (v *visitor) words(text string) string {
	return strings.NewReplacer("MARK", v.mark, "NUMBER", fmt.Sprint(v.n)).Replace(text)
}

// keep makes state that cannot be carried: it stays in modes auto and session, and
// ends with the transaction in the others.
func (v *visitor) keep(ctx context.Context) error {
	name, b := v.anyBond(false)
	if name == "" || !v.pin() {
		return nil
	}
	if err := v.run(ctx, v.words(b.make)); err != nil {
		return err
	}
	if v.mode == "auto" || v.mode == "session" {
		v.kept[name] = true
	}
	return nil
}

// use uses what v has.
func (v *visitor) use(ctx context.Context) error {
	name, b := v.anyBond(true)
	switch {
	case name == "":
		return nil
	case name == "listen":
		if err := v.run(ctx, "NOTIFY "+v.mark); err != nil {
			return err
		}
		for len(v.heard) == 0 {
			if err := v.conn.WaitForNotification(ctx); err != nil {
				return fmt.Errorf("wait for a notification: %w", err)
			}
		}
		if v.heard[0] != v.mark {
			return nil // act tells
		}
		v.heard = v.heard[1:]
		return nil
	case b.use == "":
		return v.look(ctx)
	}
	got, err := v.ask(ctx, v.words(b.use))
	return is("what it finds in its "+name, v.words(b.answer), got, err)
}

// drop ends one of the states that v has.
func (v *visitor) drop(ctx context.Context) error {
	name, b := v.anyBond(true)
	if name == "" {
		return nil
	}
	if err := v.run(ctx, v.words(b.drop)); err != nil {
		return err
	}
	delete(v.kept, name)
	if len(v.kept) == 0 {
		v.unpin()
	}
	return nil
}
