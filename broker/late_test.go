package broker_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

// A latecomer is a town whose broker has not heard yet what became of a tenant:
// what it remembers says ACTIVE, and nothing is announced.
type latecomer struct {
	*town
	mu    sync.Mutex
	truth registry.TenantState
}

func (l *latecomer) TenantStates(context.Context, []string) (map[string]registry.TenantState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.truth.Status == registry.Deleted {
		return nil, nil // purged
	}
	return map[string]registry.TenantState{l.truth.ID: l.truth}, nil
}

func (l *latecomer) became(status registry.Status, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.truth = registry.TenantState{ID: "id-one", Slug: "one", Status: status, Reason: reason, Version: 9}
}

func TestFenceIsExplainedByTheTenantsStatus(t *testing.T) {
	up := realUpstream(t)
	admin(t, pgtest.URL(t), "ALTER DATABASE "+up.database+" CONNECTION LIMIT 0")
	for _, c := range []struct {
		status registry.Status
		code   string
		words  string
	}{
		{registry.Suspended, "57P03", `tenant "one" is suspended`},
		{registry.Deleted, "3D000", `database "one" does not exist`},
		{registry.Active, "53300", "cannot connect to the server"},
	} {
		w := newTown()
		w.settle("one", up)
		l := &latecomer{town: w}
		l.became(c.status, "unpaid")
		failure := fakepg.Dial(t, serve(t, l)).Login(0, "right", "user", "one")
		require.Equal(t, c.code, failure.Code)
		require.Equal(t, "FATAL", failure.Severity)
		require.Contains(t, failure.Message, c.words)
		if c.status == registry.Suspended {
			require.Equal(t, "unpaid", failure.Detail)
		}
	}
}

// The registry that does not answer either leaves PostgreSQL's own words.
func TestFenceWithoutARegistrySaysWhatTheServerSays(t *testing.T) {
	for _, code := range []string{"53300", "55000"} {
		m := newMoody(t, code)
		w := newTown()
		w.settle("one", m.upstream)
		failure := fakepg.Dial(t, serve(t, &silent{w})).Login(0, "right", "user", "one")
		require.Equal(t, code, failure.Code)
	}
}

type silent struct{ *town }

func (*silent) TenantStates(context.Context, []string) (map[string]registry.TenantState, error) {
	return nil, registry.ErrUnavailable
}
