package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReloadShowsTheNewCertificateAndKeepsTheOldOneIfThereIsNone(t *testing.T) {
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, selfSigned(cert, key))
	c, err := loadCertificate(cert, key)
	require.NoError(t, err)
	shown := func() string {
		pair, err := c.config().GetCertificate(nil)
		require.NoError(t, err)
		return pair.Leaf.SerialNumber.String()
	}
	first := shown()

	require.NoError(t, os.Remove(key))
	require.ErrorContains(t, c.reload(), cert)
	require.Equal(t, first, shown())

	require.NoError(t, selfSigned(cert, key))
	require.Equal(t, first, shown(), "nobody asked for it yet")
	require.NoError(t, c.reload())
	require.NotEqual(t, first, shown())
}
