package provision_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

func TestOnlyOneRunMakesATenantAtATime(t *testing.T) {
	b := newBench(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	deps := b.deps
	deps.Check = func(context.Context, string, string, registry.Secret) error {
		close(begun)
		<-finish
		return nil
	}
	first := make(chan error, 1)
	go func() {
		_, err := provision.Tenant(t.Context(), deps, provision.Request{Slug: "leased", Actor: "test"})
		first <- err
	}()
	<-begun
	_, err := provision.Resume(t.Context(), b.deps, provision.Request{Slug: "leased", Actor: "test"})
	require.ErrorIs(t, err, provision.ErrRunning)
	_, err = provision.Tenant(t.Context(), b.deps, provision.Request{Slug: "leased", Actor: "test"})
	require.ErrorIs(t, err, registry.ErrSlugTaken)
	close(finish)
	require.NoError(t, <-first)

	_, err = provision.Resume(t.Context(), b.deps, provision.Request{Slug: "leased", Actor: "test"})
	require.ErrorIs(t, err, provision.ErrProvisioned, "the lease is handed back")
}
