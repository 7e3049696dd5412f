package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// The targets' names, in the order of the table.
const (
	direct    = "direct"
	pgbouncer = "pgbouncer"
	odyssey   = "odyssey"
	dermaga   = "dermaga"
)

var everyone = []string{direct, pgbouncer, odyssey, dermaga}

// target is somebody to send transactions to.
type target struct {
	name     string
	version  string
	at       address
	pid      int // of the pooler; 0 for PostgreSQL itself, whose CPU is not measured
	maxLoad  int // clients that it can take; 0: all
	maxCause string
}

// address is what a client needs to log in.
type address struct {
	host, port, database, user, password string
}

// workplace is a folder in /tmp with everything that a run makes, and the
// processes that it started. Owned by main's goroutine.
type workplace struct {
	dir      string
	pgbench  string
	closers  []func() error // run last to first
	passfile string         // libpq's, with every target's password
}

func openWorkplace() (*workplace, error) {
	// In /tmp, open: PostgreSQL and the peers run as users of their own.
	dir, err := os.MkdirTemp("/tmp", "dermaga-bench-")
	if err != nil {
		return nil, fmt.Errorf("make workplace: %w", err)
	}
	w := &workplace{dir: dir, passfile: filepath.Join(dir, "pgpass")}
	w.atClose(func() error { return os.RemoveAll(dir) })
	return w, os.Chmod(dir, 0o755)
}

func (w *workplace) atClose(f func() error) { w.closers = append(w.closers, f) }

func (w *workplace) close() error {
	var errs []error
	for _, f := range slices.Backward(w.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// assemble starts everybody and returns those who answer a login; whoever is
// missing is told in the result's notes.
func (w *workplace) assemble(ctx context.Context, o options, r *result) ([]target, error) {
	var err error
	if w.pgbench, err = findPgbench(o.bin); err != nil {
		return nil, err
	}
	db, fromDermaga, err := w.openDatabase(ctx, o, r)
	if err != nil {
		return nil, err
	}
	r.Server = db.version

	var targets []target
	for _, name := range o.targets {
		var t target
		switch name {
		case direct:
			t = db.direct()
		case pgbouncer:
			t, err = w.startPgBouncer(ctx, o, db)
		case odyssey:
			t, err = w.startOdyssey(ctx, o, db)
		case dermaga:
			if fromDermaga == nil {
				continue // openDatabase has noted why
			}
			t = *fromDermaga
		}
		if errors.Is(err, errNotFound) {
			r.note("%s is left out: %s", name, err)
			continue
		}
		if err == nil {
			err = t.at.answers(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.Versions[name] = t.version
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		return nil, errors.New("nobody to measure")
	}
	return targets, w.writePassfile(targets)
}
