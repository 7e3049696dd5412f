package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// roundEvery is how often the listener asks for changes, which also proves
	// that its channel works, and says that this instance lives. Four rounds fit
	// into the two seconds after which others think that it does not.
	roundEvery = 500 * time.Millisecond
	// divideEvery is how often the shares of the servers' connections are looked at.
	divideEvery = time.Second
	// leastPatience is how long a round may take before the channel counts as half
	// open: with roundEvery that is a second. A registry that is only slow gets
	// more with each loss, up to mostPatience.
	leastPatience = 500 * time.Millisecond
	mostPatience  = 4 * time.Second
	// closeTimeout bounds the goodbye to a connection that may be dead.
	closeTimeout = time.Second
	// After a lost connection: first and longest pause.
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	// trimEvery is how often what nobody needs any more is deleted.
	trimEvery = 10 * time.Minute
)

// A listener follows the channel of changes over one connection after another.
// Owned by one goroutine.
type listener struct {
	r        *Registry
	started  bool
	horizon  uint64           // transactions before it have been seen in full
	newest   int64            // change seen
	seen     map[int64]uint64 // changes from horizon on → probe in which they were last met
	probes   uint64
	patience time.Duration
	trimmed  time.Time
}

// listen runs until ctx ends. The outcome of its first attempt goes to opened.
func (r *Registry) listen(ctx context.Context, opened chan<- error) {
	l := &listener{r: r, seen: map[int64]uint64{}, patience: leastPatience, trimmed: time.Now()}
	pause := firstPause
	for {
		err := l.follow(ctx, func() {
			pause = firstPause
			select {
			case opened <- nil:
			default: // only the first attempt is waited for
			}
		})
		r.cache.listening.Store(false)
		if ctx.Err() != nil {
			return
		}
		if !l.started {
			opened <- err
			return
		}
		r.log.Warn("registry_channel_lost", "error", err)
		r.pool.Reset() // what broke one connection may have broken all
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, lastPause)
	}
}

// follow opens a channel, catches up, and applies changes until the connection
// fails or ctx ends.
func (l *listener) follow(ctx context.Context, opened func()) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if err := l.catchUp(ctx, conn); err != nil {
		return err
	}
	l.r.cache.listening.Store(true)
	l.r.log.Debug("registry_channel_open", "change", l.newest)
	opened()
	return l.watch(ctx, conn)
}

func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return pgx.ConnectConfig(ctx, l.r.pool.Config().ConnConfig)
}

// catchUp listens, and then reads what happened since the last channel broke: in
// this order, nothing falls between the two. Then it says that we are here.
func (l *listener) catchUp(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, listenSQL); err != nil {
		return err
	}
	at := reconnected
	if !l.started {
		at = starting
		if err := l.begin(ctx, conn); err != nil {
			return err
		}
	}
	if err := l.probe(ctx, conn, at); err != nil {
		return err
	}
	if err := l.beat(ctx, conn); err != nil {
		return err
	}
	l.started = true
	return nil
}

// begin takes what is there as old.
func (l *listener) begin(ctx context.Context, conn *pgx.Conn) error {
	var horizon string
	if err := conn.QueryRow(ctx, newestSQL).Scan(&horizon, &l.newest); err != nil {
		return err
	}
	l.r.cache.seen.Store(l.newest)
	var err error
	l.horizon, err = strconv.ParseUint(horizon, 10, 64)
	return err
}

// watch applies notifications as they come, and does a round in between.
func (l *listener) watch(ctx context.Context, conn *pgx.Conn) error {
	next := time.Now()
	for {
		n, err := l.wait(ctx, conn, next)
		switch {
		case err != nil:
			return err
		case n != nil:
			l.notified(n)
			if time.Now().Before(next) {
				continue
			}
		}
		if err := l.round(ctx, conn); err != nil {
			return err
		}
		next = time.Now().Add(roundEvery)
	}
}

// wait returns the next notification, or nil when it is time or the bell rings.
func (l *listener) wait(ctx context.Context, conn *pgx.Conn, until time.Time) (*pgconn.Notification, error) {
	waitCtx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	l.r.bell.hang(cancel)
	n, err := conn.WaitForNotification(waitCtx)
	if err != nil && ctx.Err() == nil && waitCtx.Err() != nil && !conn.IsClosed() {
		return nil, nil
	}
	return n, err
}

// round is what happens every roundEvery, and when the bell rings.
func (l *listener) round(ctx context.Context, conn *pgx.Conn) (err error) {
	answered := l.r.bell.answer()
	defer func() { answered(err == nil) }()
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	defer func() { l.learn(err, time.Since(start)) }()

	if err := l.probe(ctx, conn, running); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := l.beat(ctx, conn); err != nil {
		return err
	}
	l.r.cache.heard.Store(time.Now().UnixNano())
	if s := &l.r.shares; !start.Before(s.next) {
		if err := l.r.divide(ctx, conn); err != nil {
			return err
		}
		s.next = start.Add(divideEvery)
	}
	if time.Since(l.trimmed) > trimEvery {
		l.trimmed = time.Now()
		l.r.background.Go(l.r.trim)
	}
	return nil
}

// learn adapts the patience to how fast the registry answers.
func (l *listener) learn(err error, took time.Duration) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		l.patience = min(2*l.patience, mostPatience)
	case err == nil && 4*took < l.patience:
		l.patience = max(l.patience/2, leastPatience)
	}
}

// beat writes that we are here, and what has happened here.
func (l *listener) beat(ctx context.Context, conn *pgx.Conn) error {
	p := &l.r.presence
	if !p.present() {
		return nil
	}
	seen := l.newest
	if p.broker {
		seen = l.r.acked.Load()
	}
	silent, err := p.beat(ctx, conn, l.newest, seen)
	if err == nil && silent > silence {
		// What we had may have been given to others, and they may be as late as we are.
		l.r.shares.patient = time.Now().Add(silence)
		l.r.shares.next = time.Time{}
	}
	return err
}

// trim deletes what nobody needs any more. What fails is done the next time.
func (r *Registry) trim() {
	ctx, cancel := context.WithTimeout(r.life, askTimeout)
	defer cancel()
	for _, sql := range []string{trimChangesSQL, trimRequestsSQL, deadSQL} {
		if _, err := r.pool.Exec(ctx, sql); err != nil && r.life.Err() == nil {
			r.log.Warn("registry_trim_failed", "error", err)
		}
	}
}
