package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

// An act is something that clients do.
type act struct {
	name   string
	weight int
	blocks bool // it needs BEGIN
	do     func(*visitor, context.Context) error
}

// acts are all of them. Those that need BEGIN are not for mode statement.
var acts = []act{
	{"simple query", 10, false, (*visitor).simple},
	{"extended query", 10, false, (*visitor).extended},
	{"prepared statement", 20, false, (*visitor).prepare},
	{"transaction", 10, true, (*visitor).transact},
	{"errors", 6, true, (*visitor).err},
	{"several statements", 6, false, (*visitor).several},
	{"pipeline", 8, false, (*visitor).pipeline},
	{"COPY in", 5, true, (*visitor).copyIn},
	{"COPY out", 5, false, (*visitor).copyOut},
	{"COPY that fails", 4, false, (*visitor).copyFails},
	{"long values", 3, false, (*visitor).long},
	{"cancel", 2, false, (*visitor).cancel},
	{"setting", 20, false, (*visitor).set},
	{"setting in a transaction", 8, true, (*visitor).setInTransaction},
	{"reset", 6, false, (*visitor).reset},
	{"hidden setting", 3, false, (*visitor).setHidden},
	{"session state", 10, false, (*visitor).keep},
	{"use of session state", 10, false, (*visitor).use},
	{"end of session state", 12, false, (*visitor).drop},
	{"look", 15, false, (*visitor).look},
	{"vanishing", 2, false, (*visitor).vanish},
}

// choose draws an act.
func (v *visitor) choose() act {
	sum := 0
	for _, a := range acts {
		sum += a.weight
	}
	for {
		at := v.IntN(sum)
		for _, a := range acts {
			if at -= a.weight; at >= 0 {
				continue
			}
			if !a.blocks || v.mode != "statement" {
				return a
			}
			break
		}
	}
}

func (v *visitor) simple(ctx context.Context) error {
	n := fmt.Sprint(v.IntN(1000))
	got, err := v.ask(ctx, "SELECT "+n)
	return is("a constant", n, got, err)
}

func (v *visitor) extended(ctx context.Context) error {
	n := v.IntN(1000)
	got, err := v.askWith(ctx, "SELECT $1::int + $2::int", fmt.Sprint(n), "1")
	return is("a sum", fmt.Sprint(n+1), got, err)
}

// prepare prepares, runs, closes statements under names that others use too.
func (v *visitor) prepare(ctx context.Context) error {
	name := fmt.Sprint("s", v.IntN(6))
	add, has := v.prepared[name]
	switch {
	case has && v.IntN(5) == 0:
		delete(v.prepared, name)
		return v.conn.Deallocate(ctx, name)
	case has && v.IntN(10) == 0:
		_, err := v.conn.Prepare(ctx, name, "SELECT 'another'", nil)
		return refusedWith(pgerrcode.DuplicatePreparedStatement, err)
	case !has && v.IntN(10) == 0:
		err := v.conn.ExecPrepared(ctx, name, nil, nil, nil).Read().Err
		return refusedWith(pgerrcode.InvalidSQLStatementName, err)
	case !has:
		add = v.IntN(40)
		if _, err := v.conn.Prepare(ctx, name, fmt.Sprintf("SELECT $1::int + %d", add), nil); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		v.prepared[name] = add
	}
	for range 1 + v.IntN(3) {
		n := v.IntN(1000)
		result := v.conn.ExecPrepared(ctx, name, [][]byte{fmt.Append(nil, n)}, nil, nil).Read()
		if err := is("a prepared sum", fmt.Sprint(n+add), cell(result), result.Err); err != nil {
			return err
		}
	}
	return nil
}

func (v *visitor) transact(ctx context.Context) error {
	if err := v.run(ctx, "BEGIN"); err != nil {
		return err
	}
	rows := 1 + v.IntN(5)
	for range rows {
		if _, err := v.askWith(ctx, "INSERT INTO public.mixed (who, note) VALUES ($1, 'in a transaction')", v.mark); err != nil {
			return err
		}
	}
	got, err := v.askWith(ctx, "SELECT count(*) FROM public.mixed WHERE who = $1", v.mark)
	if err := is("rows in the transaction", fmt.Sprint(rows), got, err); err != nil {
		return err
	}
	if v.IntN(2) == 0 {
		return v.run(ctx, "ROLLBACK")
	}
	if err := v.run(ctx, "COMMIT"); err != nil {
		return err
	}
	got, err = v.askWith(ctx, "WITH gone AS (DELETE FROM public.mixed WHERE who = $1 RETURNING 1) SELECT count(*) FROM gone", v.mark)
	return is("rows committed", fmt.Sprint(rows), got, err)
}

func (v *visitor) err(ctx context.Context) error {
	switch v.IntN(4) {
	case 0:
		return v.fails(ctx, pgerrcode.SyntaxError, "SELEC 1")
	case 1:
		return v.fails(ctx, pgerrcode.DivisionByZero, "SELECT 1/0")
	case 2:
		_, err := v.askWith(ctx, "SELECT 1/$1::int", "0")
		return refusedWith(pgerrcode.DivisionByZero, err)
	}
	if err := v.run(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := v.fails(ctx, pgerrcode.UndefinedTable, "SELECT * FROM public.nowhere"); err != nil {
		return err
	}
	if err := v.fails(ctx, pgerrcode.InFailedSQLTransaction, "SELECT 1"); err != nil {
		return err
	}
	return v.run(ctx, "ROLLBACK")
}

func (v *visitor) several(ctx context.Context) error {
	if v.IntN(2) == 0 {
		got, err := v.ask(ctx, "SELECT 1; SELECT 2; SELECT 3")
		return is("the last of several", "3", got, err)
	}
	// An error in the middle undoes all of it.
	err := v.fails(ctx, pgerrcode.DivisionByZero, "INSERT INTO public.mixed (who, note) VALUES ('"+v.mark+"', 'undone'); SELECT 1/0; SELECT 1")
	if err != nil {
		return err
	}
	got, err := v.askWith(ctx, "SELECT count(*) FROM public.mixed WHERE who = $1", v.mark)
	return is("rows undone", "0", got, err)
}

// pipeline sends three batches at once; the second has an error in its middle.
func (v *visitor) pipeline(ctx context.Context) error {
	p := v.conn.StartPipeline(ctx)
	one := func(sql, value string) { p.SendQueryParams(sql, [][]byte{[]byte(value)}, nil, nil, nil) }
	one("SELECT $1::text", "a")
	one("SELECT $1::text", "b")
	p.SendPipelineSync()
	one("SELECT $1::text", "c")
	one("SELECT 1/$1::int", "0")
	one("SELECT $1::text", "skipped")
	p.SendPipelineSync()
	p.SendPrepare("piped", "SELECT $1::text", nil)
	p.SendQueryPrepared("piped", [][]byte{[]byte("d")}, nil, nil)
	p.SendDeallocate("piped")
	if err := p.Sync(); err != nil {
		return err
	}
	var got []string
	for {
		result, err := p.GetResults()
		if reason := (*pgconn.PgError)(nil); errors.As(err, &reason) {
			got = append(got, reason.Code)
			continue
		}
		if err != nil {
			return errors.Join(fmt.Errorf("pipeline: %w", err), p.Close())
		}
		if result == nil {
			break
		}
		switch r := result.(type) {
		case *pgconn.ResultReader:
			done := r.Read()
			if done.Err != nil {
				got = append(got, reason(done.Err))
			} else {
				got = append(got, cell(done))
			}
		case *pgconn.PipelineSync:
			got = append(got, "sync")
		case *pgconn.StatementDescription:
			got = append(got, "prepared")
		case *pgconn.CloseComplete:
			got = append(got, "closed")
		}
	}
	err := p.Close()
	if told := (*pgconn.PgError)(nil); errors.As(err, &told) {
		err = nil // it repeats the error
	}
	return is("the pipeline", "a b sync c 22012 sync prepared d closed sync", strings.Join(got, " "), err)
}

func (v *visitor) copyIn(ctx context.Context) error {
	rows := 1 + v.IntN(3000)
	if err := v.run(ctx, "BEGIN"); err != nil {
		return err
	}
	text := strings.Repeat(v.mark+"\tby copy, with a text that makes the rows somewhat longer\n", rows)
	if _, err := v.conn.CopyFrom(ctx, strings.NewReader(text), "COPY public.mixed (who, note) FROM STDIN"); err != nil {
		return err
	}
	got, err := v.askWith(ctx, "SELECT count(*) FROM public.mixed WHERE who = $1", v.mark)
	if err := is("rows copied", fmt.Sprint(rows), got, err); err != nil {
		return err
	}
	return v.run(ctx, "ROLLBACK")
}

func (v *visitor) copyOut(ctx context.Context) error {
	rows := v.IntN(20_000)
	var out bytes.Buffer
	_, err := v.conn.CopyTo(ctx, &out, fmt.Sprintf("COPY (SELECT i, '%s' FROM pg_catalog.generate_series(1, %d) i) TO STDOUT", v.mark, rows))
	return is("rows copied out", fmt.Sprint(rows), fmt.Sprint(bytes.Count(out.Bytes(), []byte("\t"+v.mark+"\n"))), err)
}

func (v *visitor) copyFails(ctx context.Context) error {
	const into = "COPY public.mixed (who, n) FROM STDIN"
	var source io.Reader
	code := pgerrcode.InvalidTextRepresentation
	switch v.IntN(3) {
	case 0:
		source = strings.NewReader(v.mark + "\tno number\n")
	case 1: // … and goes on for a while
		source = strings.NewReader(v.mark + "\tno number\n" + strings.Repeat(v.mark+"\t1\n", 20_000))
	default:
		source = io.MultiReader(strings.NewReader(v.mark+"\t1\n"), broken{})
		code = pgerrcode.QueryCanceled // CopyFail
	}
	_, err := v.conn.CopyFrom(ctx, source, into)
	if err := refusedWith(code, err); err != nil {
		return err
	}
	got, err := v.askWith(ctx, "SELECT count(*) FROM public.mixed WHERE who = $1", v.mark)
	return is("rows of a COPY that failed", "0", got, err)
}

// broken is a source that fails.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the source is broken") }

func (v *visitor) long(ctx context.Context) error {
	n := 1 + v.IntN(400_000)
	got, err := v.askWith(ctx, "SELECT $1::text", strings.Repeat("x", n))
	return is("the length of a long value", fmt.Sprint(n), fmt.Sprint(len(got)), err)
}

// cancel cancels a query of its own, over and over until it ends: a request may come
// before the query, and then must hit nothing.
func (v *visitor) cancel(ctx context.Context) error {
	came := make(chan error, 1)
	go func() {
		_, err := v.conn.Exec(ctx, "SELECT pg_catalog.pg_sleep(30)").ReadAll()
		came <- err
	}()
	for {
		select {
		case err := <-came:
			if err := refusedWith(pgerrcode.QueryCanceled, err); err != nil {
				return fmt.Errorf("a query cancelled: %w", err)
			}
			return v.simple(ctx)
		case <-time.After(v.later(100 * time.Millisecond)):
			if err := v.conn.CancelRequest(ctx); err != nil {
				return fmt.Errorf("the request to cancel: %w", err)
			}
		}
	}
}
