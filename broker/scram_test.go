package broker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

func TestVerifiersAreReadInPostgreSQLsNotation(t *testing.T) {
	key := strings.Repeat("A", 43) + "="
	c, err := parseVerifier("SCRAM-SHA-256$4096:c2FsdA==$" + key + ":" + key)
	require.NoError(t, err)
	require.Equal(t, "salt", c.Salt)
	require.Equal(t, 4096, c.Iters)
	require.Len(t, c.StoredKey, 32)
	for _, text := range []string{
		"", "md5d41d8cd98f00b204e9800998ecf8427e", "SCRAM-SHA-256$", "SCRAM-SHA-1$4096:c2FsdA==$" + key + ":" + key,
		"SCRAM-SHA-256$0:c2FsdA==$" + key + ":" + key, "SCRAM-SHA-256$many:c2FsdA==$" + key + ":" + key,
		"SCRAM-SHA-256$4096:$" + key + ":" + key, "SCRAM-SHA-256$4096:!$" + key + ":" + key,
		"SCRAM-SHA-256$4096:c2FsdA==$" + key, "SCRAM-SHA-256$4096:c2FsdA==$AAAA:" + key, "SCRAM-SHA-256$4096:c2FsdA==$" + key + ":" + key + "$",
	} {
		_, err := parseVerifier(text)
		require.Error(t, err)
		if text != "" {
			require.NotContains(t, err.Error(), text)
		}
	}
}

// A server that makes up a salt for every dial must not make the cache grow.
func TestKeysAreKeptOnlyForServersThatProveThemselves(t *testing.T) {
	k := newKeyCache()
	route := &registry.Route{TenantID: "t", Role: "r", Generation: 1, Password: "p"}
	first, err := k.client(route)
	require.NoError(t, err)
	again, err := k.client(route)
	require.NoError(t, err)
	require.NotSame(t, first, again, "not kept yet")
	k.keep(route, first)
	kept, err := k.client(route)
	require.NoError(t, err)
	require.Same(t, first, kept)
	rotated := *route
	rotated.Generation, rotated.Password = 2, "q"
	other, err := k.client(&rotated)
	require.NoError(t, err)
	require.NotSame(t, first, other, "another generation has keys of its own")
	k.forget(route)
	again, err = k.client(route)
	require.NoError(t, err)
	require.NotSame(t, first, again)
}
