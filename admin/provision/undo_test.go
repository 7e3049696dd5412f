package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/internal/pgtest"
	"github.com/nusajournal/dermaga/registry"
)

var errInjected = errors.New("injected fault")

// faultAfter is the list of steps up to number i, and then one that fails.
func faultAfter(i int) []provision.Step {
	return append(provision.Steps()[:i+1:i+1], provision.Step{
		Name: "fault",
		Do:   func(context.Context, *provision.Job) error { return errInjected },
	})
}

func TestFaultAfterAnyStepLeavesNothingButASuspendedRow(t *testing.T) {
	b := newBench(t)
	for i, step := range provision.Steps() {
		slug := fmt.Sprintf("fault-%d", i)
		_, err := provision.Run(t.Context(), b.deps, provision.Request{Slug: slug, Actor: "test"}, faultAfter(i))
		require.ErrorIs(t, err, errInjected, "after %s", step.Name)
		if step.Name == "validate" { // nothing was begun
			_, err := b.deps.Registry.TenantBySlug(t.Context(), slug)
			require.ErrorIs(t, err, registry.ErrNotFound)
			continue
		}
		var failure *provision.Failure
		require.ErrorAs(t, err, &failure)
		require.NoError(t, failure.Undo, "after %s", step.Name)
		tenant := b.requireNothingLeft(slug)
		require.Contains(t, tenant.StatusReason, "injected fault")
	}
}

func TestFaultInAnyStepLeavesNothingButASuspendedRow(t *testing.T) {
	b := newBench(t)
	for i := range provision.Steps() {
		if i < 2 {
			continue // the row comes into being in the second
		}
		steps := provision.Steps()
		do := steps[i].Do
		steps[i].Do = func(ctx context.Context, j *provision.Job) error {
			return errors.Join(do(ctx, j), errInjected)
		}
		slug := fmt.Sprintf("inside-%d", i)
		_, err := provision.Run(t.Context(), b.deps, provision.Request{Slug: slug, Actor: "test"}, steps)
		var failure *provision.Failure
		require.ErrorAs(t, err, &failure)
		require.NoError(t, failure.Undo)
		require.Equal(t, steps[i].Name, failure.Step)
		b.requireNothingLeft(slug)
	}
}

// The caller may give up at any moment, also while the server is at work on a
// statement of ours.
func TestRunThatIsCancelledLeavesNothingButASuspendedRow(t *testing.T) {
	b := newBench(t)
	cancelled := 0
	for i, after := range []time.Duration{
		5 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond, 90 * time.Millisecond,
		120 * time.Millisecond, 160 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond,
	} {
		slug := fmt.Sprintf("cancel-%d", i)
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := provision.Tenant(ctx, b.deps, provision.Request{Slug: slug, Actor: "test"})
		cancel()
		if err == nil {
			continue // faster than that
		}
		if _, lookErr := b.deps.Registry.TenantBySlug(t.Context(), slug); errors.Is(lookErr, registry.ErrNotFound) {
			continue // before there was a row
		}
		cancelled++
		b.requireNothingLeft(slug)
	}
	require.NotZero(t, cancelled)
}

func TestCancelledContextStopsBetweenSteps(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	steps := provision.Steps()
	do := steps[4].Do
	steps[4].Do = func(ctx context.Context, j *provision.Job) error {
		defer cancel(errors.New("operator left"))
		return do(ctx, j)
	}
	_, err := provision.Run(ctx, b.deps, provision.Request{Slug: "left", Actor: "test"}, steps)
	require.ErrorContains(t, err, "operator left")
	b.requireNothingLeft("left")
}

// When the tenants' server cannot be reached for the way back, the tenant is
// SUSPENDED all the same, and says what may be left.
func TestUndoWithoutTheServerSaysWhatIsLeft(t *testing.T) {
	ctx := t.Context()
	super := connect(t, pgtest.URL(t))
	newBench(t) // the group roles exist
	password := registry.NewPassword()
	_, err := super.Exec(ctx, `CREATE ROLE lost_admin LOGIN CREATEDB CREATEROLE PASSWORD '`+password.Reveal()+`'`)
	require.NoError(t, err)
	_, err = super.Exec(ctx, `GRANT journal_owner, journal_app, journal_ro TO lost_admin WITH ADMIN OPTION; GRANT CONNECT ON DATABASE postgres TO lost_admin`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := super.Exec(context.Background(), `DROP OWNED BY lost_admin; DROP ROLE lost_admin`)
		require.NoError(t, err)
	})
	b := benchWith(t, provision.Prepared{Role: "lost_admin", Password: password, Budget: 90})

	steps := append(provision.Steps()[:4:4], provision.Step{Name: "fault", Do: func(ctx context.Context, _ *provision.Job) error {
		_, err := super.Exec(ctx, `ALTER ROLE lost_admin NOLOGIN`)
		return errors.Join(errInjected, err)
	}})
	_, err = provision.Run(ctx, b.deps, provision.Request{Slug: "lost", Actor: "test"}, steps)
	var failure *provision.Failure
	require.ErrorAs(t, err, &failure)
	require.ErrorContains(t, failure.Undo, "undo database")
	require.ErrorContains(t, failure.Undo, "undo roles")

	tenant, err := b.deps.Registry.TenantBySlug(ctx, "lost")
	require.NoError(t, err)
	require.Equal(t, registry.Suspended, tenant.Status)
	require.Contains(t, tenant.StatusReason, "not everything could be removed")

	// … and the next try works on what was left.
	_, err = super.Exec(ctx, `ALTER ROLE lost_admin LOGIN`)
	require.NoError(t, err)
	made, err := provision.Resume(ctx, b.deps, provision.Request{Slug: "lost", Actor: "test"})
	require.NoError(t, err)
	require.Equal(t, registry.Active, made.Tenant.Status)
}
