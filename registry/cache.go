package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"golang.org/x/sync/singleflight"
)

const (
	// askTimeout bounds one question to the registry.
	askTimeout = 3 * time.Second
	// retryEvery is how often a registry that does not answer is asked again,
	// while remembered answers stand in for it.
	retryEvery = time.Second
	// keepKnown is how long an answer that nothing has contradicted can stand in
	// for a registry that goes down.
	keepKnown = 24 * time.Hour
	// refills is how often a question is put again because something changed
	// while it was being answered.
	refills = 3
)

// A question is what the broker asks: who is login at slug?
type question struct{ slug, login string }

// A remembered answer, and whose changes make it wrong.
type remembered struct {
	entry     Entry
	verifiers []validity // of entry.Login, newest first
	tenant    string
	login     string
	server    int64
	plan      string
	asked     time.Time
	epoch     uint64 // of the cache; an older one is no longer trusted
}

type validity struct {
	verifier string
	until    time.Time // zero: for ever
}

// A cache remembers answers until a change concerns them. Known and unknown
// names are kept apart, so that somebody who tries names cannot push the real
// ones out.
//
// An answer is used as it is while the channel of changes is open and the answer
// is younger than CacheTTL. Otherwise the registry is asked, and if it does not
// answer, an older answer stands in, up to StaleMax after it was last heard.
//
// Safe for concurrent use. Locks are taken in this order: mu, where filling and
// dropping meet; the LRU's own; the index's.
type cache struct {
	ask  func(context.Context, question) (*remembered, error)
	cfg  Config
	log  *slog.Logger
	life context.Context // of questions under way
	end  context.CancelFunc

	known   *expirable.LRU[question, *remembered]
	index   index // of known
	unknown *expirable.LRU[question, *remembered]
	flights singleflight.Group

	mu         sync.Mutex
	generation uint64 // changes seen: an answer asked for before one is not kept
	epoch      uint64 // times that everything became doubtful
	closed     bool
	running    sync.WaitGroup // questions under way

	listening atomic.Bool
	seen      atomic.Int64 // id of the newest change, written by the listener
	heard     atomic.Int64 // when the registry last answered, Unix nanoseconds
	retryAt   atomic.Int64 // 0: it answers; else when to ask again
	counters  counters
}

type counters struct{ hits, misses, stale, changes, probes atomic.Uint64 }

// newCache makes the LRUs, once per Registry: the goroutine with which each
// drops what has expired cannot be ended.
func newCache(cfg Config, ask func(context.Context, question) (*remembered, error)) *cache {
	c := &cache{
		ask: ask, cfg: cfg, log: cfg.Log,
		index:   index{of: map[Change]map[question]struct{}{}},
		unknown: expirable.NewLRU[question, *remembered](cfg.CacheSize, nil, cfg.NegativeTTL),
	}
	c.known = expirable.NewLRU(cfg.CacheSize, c.index.remove, keepKnown+cfg.StaleMax)
	c.life, c.end = context.WithCancel(context.Background())
	c.heard.Store(time.Now().UnixNano())
	return c
}

// close ends the questions under way and waits for them.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.running.Wait()
}

// lookup answers from memory if it may, else from the registry, else from memory
// after all.
func (c *cache) lookup(ctx context.Context, q question) (Entry, error) {
	m := c.recall(q)
	if m != nil && c.fresh(m) {
		c.counters.hits.Add(1)
		return m.answer(time.Now()), nil
	}
	old := m != nil && m.entry.Route != nil && time.Since(time.Unix(0, c.heard.Load())) < c.cfg.StaleMax
	if old && !c.mayAsk() {
		return c.standIn(m), nil
	}
	c.counters.misses.Add(1)
	e, err := c.refresh(ctx, q, true)
	if err != nil && old && ctx.Err() == nil {
		return c.standIn(m), nil
	}
	return e, err
}

func (c *cache) standIn(m *remembered) Entry {
	c.counters.stale.Add(1)
	return m.answer(time.Now())
}

func (c *cache) recall(q question) *remembered {
	if m, ok := c.known.Get(q); ok {
		return m
	}
	m, _ := c.unknown.Get(q)
	return m
}

// fresh reports whether m may be used without asking.
func (c *cache) fresh(m *remembered) bool {
	ttl := c.cfg.NegativeTTL
	if m.entry.Route != nil {
		ttl = c.cfg.CacheTTL
	}
	if !c.listening.Load() || time.Since(m.asked) >= ttl {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.epoch == c.epoch
}

// mayAsk is true while the registry answers. When it does not, one caller per
// retryEvery may find out whether it does again.
func (c *cache) mayAsk() bool {
	at := c.retryAt.Load()
	if at == 0 {
		return true
	}
	now := time.Now()
	return now.UnixNano() >= at && c.retryAt.CompareAndSwap(at, now.Add(retryEvery).UnixNano())
}

// refresh asks the registry, together with whoever asks the same at the moment.
// memory says that what somebody else has found out just before will do.
func (c *cache) refresh(ctx context.Context, q question, memory bool) (Entry, error) {
	var m *remembered
	for range refills {
		generation := c.now()
		// Who asks after a change must not be given what was asked for before it.
		key := fmt.Sprint(generation, memory, "\x00", q.slug, "\x00", q.login)
		flight := c.flights.DoChan(key, func() (any, error) {
			if m := c.recall(q); memory && m != nil && c.fresh(m) {
				return m, nil
			}
			return c.fly(q, generation)
		})
		select {
		case r := <-flight:
			if r.Err != nil {
				return Entry{}, fmt.Errorf("look up %q: %w", q.slug, r.Err)
			}
			m = r.Val.(*remembered)
		case <-ctx.Done():
			return Entry{}, fmt.Errorf("look up %q: %w: %w", q.slug, ErrUnavailable, context.Cause(ctx))
		}
		if c.now() == generation {
			break
		}
	}
	return m.answer(time.Now()), nil
}

func (c *cache) now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// fly puts one question to the registry and keeps the answer, unless something
// changed meanwhile.
func (c *cache) fly(q question, generation uint64) (*remembered, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("%w: it is closed", ErrUnavailable)
	}
	c.running.Add(1)
	epoch := c.epoch
	c.mu.Unlock()
	defer c.running.Done()

	ctx, cancel := context.WithTimeout(c.life, askTimeout)
	defer cancel()
	asked := time.Now()
	m, err := c.ask(ctx, q)
	if err != nil && ctx.Err() == nil {
		m, err = c.ask(ctx, q) // a connection that a restart of the registry has ended fails once
	}
	c.note(err)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	m.asked, m.epoch = asked, epoch
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return m, nil
	}
	if m.entry.Route != nil {
		c.unknown.Remove(q)
		c.known.Add(q, m)
		c.index.add(q, m)
	} else {
		c.known.Remove(q)
		c.unknown.Add(q, m)
	}
	return m, nil
}

// note keeps whether the registry answers, and says so once when that changes.
func (c *cache) note(err error) {
	if errors.Is(c.life.Err(), context.Canceled) {
		return
	}
	now := time.Now()
	if err != nil {
		if c.retryAt.Swap(now.Add(retryEvery).UnixNano()) == 0 {
			c.log.Warn("registry_down", "error", err, "stale_max", c.cfg.StaleMax.String())
		}
		return
	}
	c.heard.Store(now.UnixNano())
	if c.retryAt.Swap(0) != 0 {
		c.log.Info("registry_up")
	}
}

// drop forgets what ch concerns. All unknown names go: one of them may have
// become known.
func (c *cache) drop(ch Change) {
	c.counters.changes.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.unknown.Purge()
	questions, ok := c.index.concerned(ch)
	if !ok {
		questions = c.known.Keys()
	}
	for _, q := range questions {
		if m, ok := c.known.Peek(q); ok && m.concerns(ch) {
			c.known.Remove(q)
		}
	}
}

// doubt trusts nothing any more until it has been asked for again. Known
// answers are kept to stand in for a registry that is down.
func (c *cache) doubt() {
	c.counters.changes.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.epoch++
	c.unknown.Purge()
}

func (m *remembered) concerns(ch Change) bool {
	switch ch.Entity {
	case "tenants", "credentials":
		return m.tenant == ch.EntityID
	case "logins", "login_verifiers", "login_grants":
		return m.login == ch.EntityID
	case "servers":
		return strconv.FormatInt(m.server, 10) == ch.EntityID
	case "plans":
		return m.plan == ch.EntityID
	}
	return true // a newer release announces what we do not know
}

// answer gives the entry with the verifiers that are valid now, and without a
// login that is not.
func (m *remembered) answer(now time.Time) Entry {
	if m.entry.Login == nil {
		return m.entry
	}
	if m.entry.Login.DisabledAt != nil || m.entry.Login.ExpiresAt != nil && !now.Before(*m.entry.Login.ExpiresAt) {
		return Entry{Tenant: m.entry.Tenant}
	}
	e, l := m.entry, *m.entry.Login
	l.Verifiers = make([]string, 0, len(m.verifiers))
	for _, v := range m.verifiers {
		if v.until.IsZero() || now.Before(v.until) {
			l.Verifiers = append(l.Verifiers, v.verifier)
		}
	}
	e.Login = &l
	return e
}
