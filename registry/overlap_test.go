package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

// A client is told the salt before it has proven anything: during the overlap
// both passwords must go with it.
func TestRotationKeepsTheSaltForItsOverlapOnly(t *testing.T) {
	t.Parallel()
	r := fresh(t)
	l := newLogin(t, r, registry.NewLogin{Name: "app", TenantID: create(t, r, "a").ID})
	salt := func(verifier string) string { return strings.Split(verifier, "$")[1] }
	rotated, _, err := r.RotateLogin(t.Context(), l.ID, time.Hour, act)
	require.NoError(t, err)
	require.Equal(t, salt(l.Verifiers[0]), salt(rotated.Verifiers[0]))
	require.NotEqual(t, l.Verifiers[0], rotated.Verifiers[0])
	reset, _, err := r.RotateLogin(t.Context(), l.ID, 0, act)
	require.NoError(t, err)
	require.NotEqual(t, salt(l.Verifiers[0]), salt(reset.Verifiers[0]))
}
