package privatepg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
)

var quiet = slog.New(slog.DiscardHandler)

// jar packs a tar of the given entries as the published archives are packed.
func jar(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	_, err := z.Create("META-INF/")
	require.NoError(t, err)
	w, err := z.Create("postgres-test.txz")
	require.NoError(t, err)
	x, err := xz.NewWriter(w)
	require.NoError(t, err)
	tw := tar.NewWriter(x)
	for _, h := range entries {
		content := []byte("content of " + h.Name)
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		require.NoError(t, tw.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := tw.Write(content)
			require.NoError(t, err)
		}
	}
	require.NoError(t, tw.Close())
	require.NoError(t, x.Close())
	require.NoError(t, z.Close())
	return out.Bytes()
}

func postgresJar(t *testing.T) []byte {
	return jar(t,
		tar.Header{Name: "lib/libpq.so", Typeflag: tar.TypeSymlink, Linkname: "libpq.so.5"},
		tar.Header{Name: "bin/postgres", Typeflag: tar.TypeReg, Mode: 0o755},
		tar.Header{Name: "share/postgresql/", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "share/postgresql/x.sql", Typeflag: tar.TypeReg, Mode: 0o644},
	)
}

// repository serves body as the archive's jar and counts the downloads.
func repository(t *testing.T, body []byte) (a archive, downloads *int) {
	t.Helper()
	sum := sha256.Sum256(body)
	a = archive{platform: "test", sum: hex.EncodeToString(sum[:])}
	downloads = new(int)
	mux := http.NewServeMux()
	mux.HandleFunc("/maven2/io/zonky/test/postgres/embedded-postgres-binaries-test/18.4.0/embedded-postgres-binaries-test-18.4.0.jar",
		func(w http.ResponseWriter, _ *http.Request) { *downloads++; _, _ = w.Write(body) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Setenv(MirrorVariable, s.URL+"/maven2/")
	return a, downloads
}

func TestArchiveIsFetchedOnceAndUnpackedForEveryUser(t *testing.T) {
	a, downloads := repository(t, postgresJar(t))
	cache := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		bin, err := a.fetch(t.Context(), cache, quiet)
		require.NoError(t, err)
		require.Equal(t, filepath.Join(a.folder(cache), "bin"), bin)
	}
	require.Equal(t, 1, *downloads)

	home := a.folder(cache)
	for path, mode := range map[string]os.FileMode{
		"": 0o755, "bin": 0o755, "bin/postgres": 0o755, "share/postgresql": 0o755, "share/postgresql/x.sql": 0o644,
	} {
		info, err := os.Stat(filepath.Join(home, path))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	target, err := os.Readlink(filepath.Join(home, "lib/libpq.so"))
	require.NoError(t, err)
	require.Equal(t, "libpq.so.5", target)
	requireOnly(t, cache, filepath.Base(home))
}

func TestDownloadWithAnotherChecksumIsRefusedAndLeavesNothing(t *testing.T) {
	a, _ := repository(t, postgresJar(t))
	a.sum = archives["linux/amd64"].sum
	cache := t.TempDir()
	_, err := a.fetch(t.Context(), cache, quiet)
	require.ErrorIs(t, err, errChecksum)
	requireOnly(t, cache)
}

func TestRepositoryWithoutTheArchiveIsNamed(t *testing.T) {
	a, _ := repository(t, nil)
	a.platform = "other"
	_, err := a.fetch(t.Context(), t.TempDir(), quiet)
	require.ErrorContains(t, err, "404")
	require.ErrorContains(t, err, "embedded-postgres-binaries-other-18.4.0.jar")
}

func TestArchiveCannotWriteOutsideItsFolder(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"dots":  {{Name: "../escaped", Typeflag: tar.TypeReg, Mode: 0o644}},
		"link":  {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "l/escaped", Typeflag: tar.TypeReg, Mode: 0o644}},
		"other": {{Name: "fifo", Typeflag: tar.TypeFifo}},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := repository(t, jar(t, entries...))
			cache := filepath.Join(t.TempDir(), "cache")
			_, err := a.fetch(t.Context(), cache, quiet)
			require.Error(t, err)
			requireOnly(t, cache)
			requireOnly(t, filepath.Dir(cache), "cache")
		})
	}
}

func requireOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.Equal(t, names, got)
}

// The real archive takes 15 MB from the network, so this runs only when asked.
func TestPublishedArchiveRuns(t *testing.T) {
	if os.Getenv("DERMAGA_TEST_FETCH") == "" {
		t.Skip("DERMAGA_TEST_FETCH=1 downloads the real archive")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	bin, err := fetchArchive(ctx, quiet)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("/tmp", "dermaga-privatepg-")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o755))
	s, err := Start(ctx, Config{Bin: bin, Data: filepath.Join(dir, "postgres"), Password: rand.Text()})
	require.NoError(t, err)
	require.Equal(t, archiveMajor, s.Version()/10000)
	require.NoError(t, s.Stop())
}
