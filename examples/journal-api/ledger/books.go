package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Books are one company's accounts and journal. Safe for concurrent use.
type Books struct {
	pool  *pgxpool.Pool
	actor User
}

// Open returns the books in the pool's database, for what actor does to them.
func Open(pool *pgxpool.Pool, actor User) *Books { return &Books{pool, actor} }

// A transaction that PostgreSQL gave up on is tried this often, with a pause
// that doubles from the first, so that the other one has gone by then.
const (
	maxTries   = 5
	firstPause = 10 * time.Millisecond
)

// readOnly gives a report of several queries one state of the books to look at.
var readOnly = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// change runs do in a transaction, again if need be: it must not keep anything of
// an earlier run.
func (b *Books) change(ctx context.Context, do func(pgx.Tx) error) error {
	return again(ctx, func() error { return pgx.BeginFunc(ctx, b.pool, do) })
}

// look runs do in a transaction that only reads.
func (b *Books) look(ctx context.Context, do func(pgx.Tx) error) error {
	return again(ctx, func() error { return pgx.BeginTxFunc(ctx, b.pool, readOnly, do) })
}

func again(ctx context.Context, once func() error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := once()
		if err == nil || try == maxTries || !retryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(pause + rand.N(pause)):
		}
		pause *= 2
	}
}

// retryable reports whether PostgreSQL undid the transaction only because of what
// others did meanwhile.
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) &&
		(pg.Code == pgerrcode.SerializationFailure || pg.Code == pgerrcode.DeadlockDetected)
}

// note writes into the audit log who did what.
func (b *Books) note(ctx context.Context, tx pgx.Tx, action, entity string, id any) error {
	const insert = `INSERT INTO audit_log (actor, action, entity, entity_id) VALUES ($1, $2, $3, $4)`
	_, err := tx.Exec(ctx, insert, b.actor.Email, action, entity, fmt.Sprint(id))
	return err
}

// Actor returns the user that the books were opened for.
func (b *Books) Actor() User { return b.actor }
