package model_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/internal/relaytest"
)

// theatre is where a test's sequences are played: a stage for each setting,
// kept from one sequence to the next.
type theatre struct {
	t      testing.TB
	plant  plant
	stages map[setting]*stage
	failed bool     // a sequence has
	last   sequence // that one
	report string   // … and what happened
	first  string   // what happened at the first failure
}

// plant is what is done on the way between client, relay and PostgreSQL.
type plant struct {
	server func() between // to a connection between the relay and PostgreSQL
	client func() between // to one between a client and the relay
	blind  bool           // the transaction status is not compared
	themes []string       // what the sequences speak of
}

// stage is a relay with a pool and its clients, and their twins. The two databases
// are copies of each other.
type stage struct {
	brokered, direct string // databases
	stirred          chan struct{}
	life             *life // of the relay and of all connections
	rig              *relaytest.Rig
	actors           [clients]*actor
	plant            plant
}

// actor is a client and its twin.
type actor struct {
	letter       string
	client, twin *line
	talk         *dialogue // with the twin
	wrote        bool      // rows are left

	sent     bool     // it has sent what it has heard no answer to: it is one of W
	expected []answer // what the twin has heard
	holds    bool     // it holds a server for sure
	pins     bool     // it may hold one for what it has left behind
	pinning  bool     // … in the step that it has sent last
	later    []step   // put off until it is answered
}

// life is a test's life, but shorter: what is cleaned up with the test is cleaned
// up when it ends.
type life struct {
	testing.TB
	mu   sync.Mutex
	ends []func()
}

// Cleanup has f called by end.
func (l *life) Cleanup(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, f)
}

func (l *life) end() {
	for {
		l.mu.Lock()
		n := len(l.ends) - 1
		if n < 0 {
			l.mu.Unlock()
			return
		}
		f := l.ends[n]
		l.ends = l.ends[:n]
		l.mu.Unlock()
		f()
	}
}

func newTheatre(t testing.TB, p plant) *theatre {
	th := &theatre{t: t, plant: p, stages: map[setting]*stage{}}
	t.Cleanup(func() {
		for _, s := range th.stages {
			if s.life != nil {
				s.life.end()
			}
		}
	})
	return th
}

// stage is the one for a setting. After a failure it is a new one over the
// same databases.
func (th *theatre) stage(k setting) *stage {
	s := th.stages[k]
	if s == nil {
		s = &stage{plant: th.plant, stirred: make(chan struct{}, 1)}
		s.direct, s.brokered = databases(th.t, k)
		th.stages[k] = s
	}
	if s.life == nil {
		s.life = &life{TB: th.t}
		s.empty()
		s.rig = relaytest.Start(s.life, relaytest.Options{
			URL: s.brokered, PoolSize: k.servers, Wrap: s.wrap,
			Target: func(t *relay.Target) { t.MaxPinned = k.servers },
		})
		for i := range s.actors {
			s.actors[i] = &actor{letter: letter(i)}
			s.connect(s.actors[i])
		}
	}
	return s
}

// strike ends a stage whose sequence failed.
func (s *stage) strike() {
	for _, a := range s.actors {
		a.client.hangUp()
		a.twin.hangUp()
	}
	s.life.end()
	s.life = nil
}

// wrap puts the plant between the relay and a server.
func (s *stage) wrap(conn net.Conn) net.Conn {
	if s.plant.server == nil {
		return conn
	}
	return s.plant.server().join(s.life, conn)
}

// connect gives a a new connection and a new twin.
func (s *stage) connect(a *actor) {
	conn, _, _ := s.rig.Conn(relay.Mode(0))
	if s.plant.client != nil {
		conn = s.plant.client().join(s.life, conn)
	}
	a.client = listen(conn, s.stirred)
	a.talk = newDialogue()
	c, err := pgconn.Connect(context.Background(), s.direct)
	require.NoError(s.life, err)
	h, err := c.Hijack()
	require.NoError(s.life, err)
	a.twin = listen(h.Conn, s.stirred)
	s.life.Cleanup(func() {
		a.client.hangUp()
		a.twin.hangUp()
	})
}

// databases makes a database and its copy, so that even their oids are the same.
func databases(t testing.TB, k setting) (one, other string) {
	one = pgtest.Database(t)
	run(t, pgtest.URL(t), `DO $$ BEGIN CREATE ROLE model_guest; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	run(t, one, objects+each(belongings)+`GRANT ALL ON SCHEMA other TO model_guest`)
	if k.hooks {
		run(t, one, each(hooks))
	}
	u, err := url.Parse(one)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	u.Path += "_copy"
	ident := pgx.Identifier{name + "_copy"}.Sanitize()
	run(t, pgtest.URL(t), "CREATE DATABASE "+ident+" TEMPLATE "+pgx.Identifier{name}.Sanitize())
	t.Cleanup(func() { run(t, pgtest.URL(t), "DROP DATABASE "+ident+" WITH (FORCE)") })
	return one, u.String()
}

// each is sql for every client.
func each(sql string) string {
	var b strings.Builder
	for i := range clients {
		b.WriteString(strings.ReplaceAll(sql, "{c}", letter(i)) + ";")
	}
	return b.String()
}

// empty empties all tables: a sequence that failed may have left rows in one
// database that the other lacks.
func (s *stage) empty() {
	run(s.life, s.direct, each(tidy))
	run(s.life, s.brokered, each(tidy))
}

func run(t testing.TB, url, sql string) {
	ctx := context.Background()
	c, err := pgconn.Connect(ctx, url)
	require.NoError(t, err)
	defer c.Close(ctx)
	_, err = c.Exec(ctx, sql).ReadAll()
	require.NoError(t, err, fmt.Sprintf("%.200s", sql))
}
