package registry_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry"
)

const (
	testKey  = "6d0c6a3b1f5e4d2c8b7a90817263544536271809fadecbbaa99887766554433f"
	otherKey = "0f1e2d3c4b5a69788796a5b4c3d2e1f0a1b2c3d4e5f60718293a4b5c6d7e8f90"
)

func keys(t testing.TB, text string) *registry.Keys {
	t.Helper()
	k, err := registry.ParseKeys(text)
	require.NoError(t, err)
	return k
}

var binding = registry.Binding{TenantID: "d9b2d63d-a233-4123-847a-7090f5a1f2c0", Kind: "app", Generation: 1, Role: "t_x_app_1"}

func TestSealedOpensInItsRow(t *testing.T) {
	t.Parallel()
	k := keys(t, testKey)
	for _, plain := range []registry.Secret{
		"", "x", registry.NewPassword(), registry.Secret(strings.Repeat("p", 63)),
		registry.Secret(strings.Repeat("p", 64)), registry.Secret("\x80\x00\x80"),
	} {
		id, sealed, err := k.Seal(plain, binding)
		require.NoError(t, err)
		require.Equal(t, k.ID(), id)
		require.EqualValues(t, 1, sealed[0])
		require.Zero(t, (len(sealed)-1-12-16)%64)
		got, err := keys(t, testKey).Open(id, sealed, binding)
		require.NoError(t, err)
		require.Equal(t, plain.Reveal(), got.Reveal())

		_, again, err := k.Seal(plain, binding)
		require.NoError(t, err)
		require.NotEqual(t, sealed, again, "the nonce is random")
	}
}

func TestSealedDoesNotOpen(t *testing.T) {
	t.Parallel()
	k := keys(t, testKey)
	id, sealed, err := k.Seal("secret", binding)
	require.NoError(t, err)

	t.Run("with another key", func(t *testing.T) {
		_, err := keys(t, otherKey).Open(id, sealed, binding)
		require.ErrorIs(t, err, registry.ErrWrongKey)
		require.ErrorContains(t, err, id)
	})
	t.Run("cut short anywhere", func(t *testing.T) {
		for n := range sealed {
			_, err := k.Open(id, sealed[:n], binding)
			require.ErrorIs(t, err, registry.ErrTruncated, "%d bytes", n)
		}
	})
	t.Run("in another row", func(t *testing.T) {
		for _, b := range []registry.Binding{
			{TenantID: "other", Kind: binding.Kind, Generation: 1, Role: binding.Role},
			{TenantID: binding.TenantID, Kind: "owner", Generation: 1, Role: binding.Role},
			{TenantID: binding.TenantID, Kind: binding.Kind, Generation: 2, Role: binding.Role},
			{TenantID: binding.TenantID, Kind: binding.Kind, Generation: 1, Role: "other"},
			{TenantID: binding.TenantID + "a", Kind: "pp", Generation: 1, Role: binding.Role},
		} {
			_, err := k.Open(id, sealed, b)
			require.ErrorIs(t, err, registry.ErrNotItsRow, "%+v", b)
		}
	})
	t.Run("changed in any byte", func(t *testing.T) {
		for i := 1; i < len(sealed); i++ {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			_, err := k.Open(id, bad, binding)
			require.ErrorIs(t, err, registry.ErrNotItsRow)
		}
	})
	t.Run("in a later format", func(t *testing.T) {
		bad := bytes.Clone(sealed)
		bad[0] = 2
		_, err := k.Open(id, bad, binding)
		require.ErrorIs(t, err, registry.ErrSealFormat)
	})
}

func TestKeyFormats(t *testing.T) {
	t.Parallel()
	raw, err := hex.DecodeString(testKey)
	require.NoError(t, err)
	id := keys(t, testKey).ID()
	for _, text := range []string{
		strings.ToUpper(testKey), " " + testKey + "\n",
		base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
	} {
		require.Equal(t, id, keys(t, text).ID(), text)
	}
	require.NotEqual(t, id, keys(t, "kJ8vQ2xW5nR7tY1uB4mZ6cD9fG3hL0pS").ID(), "32 bytes as text")
	require.Regexp(t, `^k-[0-9a-f]{16}$`, id)
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, why string }{
		{"", "is empty"},
		{"  \n", "is empty"},
		{"your-32-character-encryption-key", "placeholder"},
		{"change-me-change-me-change-me-12", "placeholder"},
		{"your-encryption-key-here", "placeholder"},
		{"replace-with-openssl-rand-hex-32", "placeholder"},
		{"tooshort", "has 8 characters"},
		{testKey[:63], "has 63 characters"},
		{testKey + "00", "has 66 characters"},
		{strings.Repeat("0", 64), "repeats itself"},
		{"0123456789abcdef0123456789abcdef", "repeats itself"},
		{"12345678901234567890123456789012", "repeats itself"},
	} {
		_, err := registry.ParseKeys(c.key)
		require.ErrorContains(t, err, c.why, c.key)
		require.ErrorContains(t, err, "openssl rand -hex 32")
		if len(c.key) > 3 {
			require.NotContains(t, err.Error(), c.key)
		}
	}
}

func TestDerivedKeysDiffer(t *testing.T) {
	t.Parallel()
	k := keys(t, testKey)
	require.Len(t, k.Derive("mock"), 32)
	require.Equal(t, k.Derive("mock"), keys(t, testKey).Derive("mock"))
	require.NotEqual(t, k.Derive("mock"), k.Derive("peers"))
	require.NotEqual(t, k.Derive("mock"), keys(t, otherKey).Derive("mock"))
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2"
	s := registry.Secret(hidden)
	type box struct {
		S registry.Secret
		P *registry.Secret
		M map[string]registry.Secret
	}
	b := box{S: s, P: &s, M: map[string]registry.Secret{"k": s}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb, s)
		fmt.Fprintf(&out, verb, b)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "b", b)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "b", b)
	j, err := json.Marshal(b)
	require.NoError(t, err)
	out.Write(j)
	fmt.Fprintf(&out, "%v %+v %#v", keys(t, testKey), keys(t, testKey), keys(t, testKey))

	text := out.String()
	require.NotContains(t, text, hidden)
	require.NotContains(t, text, hex.EncodeToString([]byte(hidden)))
	require.NotContains(t, text, testKey[:16])
	require.Contains(t, text, "[redacted]")
	require.Equal(t, hidden, s.Reveal())
}

func TestPasswordsAreLongAndFitAURL(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^[A-Za-z0-9_-]{43}$`, registry.NewPassword().Reveal())
	require.NotEqual(t, registry.NewPassword().Reveal(), registry.NewPassword().Reveal())
}

func FuzzOpen(f *testing.F) {
	k := keys(f, testKey)
	id, sealed, err := k.Seal("secret", binding)
	require.NoError(f, err)
	f.Add(sealed)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := k.Open(id, b, binding)
		if err == nil { // a seed: each worker of the fuzzer has sealed its own
			require.Equal(t, "secret", plain.Reveal())
		}
	})
}
