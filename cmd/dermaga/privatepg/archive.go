package privatepg

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The archive is the one that the Java world tests with: PostgreSQL's own
// binaries, built by github.com/zonkyio/embedded-postgres-binaries and
// published on Maven Central. It has initdb, pg_ctl and postgres, no client
// programs.
const (
	archiveVersion = "18.4.0"
	archiveMajor   = 18
	mavenCentral   = "https://repo1.maven.org/maven2"

	// MirrorVariable names another Maven repository for machines that cannot
	// reach Maven Central. What comes from there must have the same checksum.
	MirrorVariable = "DERMAGA_POSTGRES_MIRROR"

	// maxArchive is twice the largest archive, in bytes.
	maxArchive = 64 << 20
)

// archive is one platform's file: its name on Maven Central and the SHA-256 of
// the jar, computed from what was published on 2026-05-29.
type archive struct{ platform, sum string }

// archives by GOOS/GOARCH.
var archives = map[string]archive{
	"linux/amd64":  {"linux-amd64", "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212"},
	"linux/arm64":  {"linux-arm64v8", "a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335"},
	"darwin/amd64": {"darwin-amd64", "68381ed1488edd337345c6c4bc6ae0c823832a4dd7af8b04656ee5c218c291b5"},
	"darwin/arm64": {"darwin-arm64v8", "ab698c4486a795d2aa8a158b3a41e1201a77e7ff72a6255094cd5900080853c2"},
}

var errChecksum = errors.New("the download is not the file that this version of dermaga expects")

// url of the jar below a Maven repository.
func (a archive) url(repository string) string {
	artifact := "embedded-postgres-binaries-" + a.platform
	return fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%s-%s.jar",
		strings.TrimSuffix(repository, "/"), artifact, archiveVersion, artifact, archiveVersion)
}

// folder is the archive's place in the cache. Once it exists it is complete.
func (a archive) folder(cache string) string {
	return filepath.Join(cache, "postgresql-"+archiveVersion+"-"+a.platform)
}

// fetchArchive returns the bin folder of the pinned archive, downloading and
// unpacking it when the cache does not have it yet.
func fetchArchive(ctx context.Context, log *slog.Logger) (string, error) {
	a, ok := archives[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("there is no archive for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	return a.fetch(ctx, cache, log)
}

func (a archive) fetch(ctx context.Context, cache string, log *slog.Logger) (string, error) {
	bin := filepath.Join(a.folder(cache), "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	repository := os.Getenv(MirrorVariable)
	if repository == "" {
		repository = mavenCentral
	}
	log.Info("fetching PostgreSQL, this once", "version", archiveVersion, "cache", cache)
	jar, err := a.download(ctx, repository, cache)
	if err != nil {
		return "", err
	}
	defer os.Remove(jar)
	if err := a.unpack(jar, cache); err != nil {
		return "", err
	}
	return bin, nil
}

// cacheFolder is the user's own; root's is closed to the user that PostgreSQL
// runs as, so root uses the machine's.
func cacheFolder() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/dermaga", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(dir, "dermaga"), nil
}

// download fetches the jar into a temporary file and returns its name when the
// checksum is the pinned one.
func (a archive) download(ctx context.Context, repository, cache string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url(repository), nil)
	if err != nil {
		return "", fmt.Errorf("download PostgreSQL: %w", err)
	}
	req.Close = true // one download, no connection kept
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("download PostgreSQL (%s names another repository): %w", MirrorVariable, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("download PostgreSQL from %s: %s", req.URL.Redacted(), res.Status)
	}
	f, err := os.CreateTemp(cache, "download-*.jar")
	if err != nil {
		return "", fmt.Errorf("download PostgreSQL: %w", err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), io.LimitReader(res.Body, maxArchive))
	if err = errors.Join(err, f.Close()); err == nil {
		if got := hex.EncodeToString(sum.Sum(nil)); got != a.sum {
			err = fmt.Errorf("%w: %s has SHA-256 %s, want %s", errChecksum, req.URL.Redacted(), got, a.sum)
		}
	}
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("download PostgreSQL: %w", err)
	}
	return f.Name(), nil
}

// unpack puts the .txz inside the jar in its place in the cache: beside it
// first, renamed when complete. Who comes second to that finds it done.
func (a archive) unpack(jar, cache string) error {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return fmt.Errorf("open %s: %w", jar, err)
	}
	defer z.Close()
	draft, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	defer os.RemoveAll(draft)
	if err := os.Chmod(draft, 0o755); err != nil {
		return fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	for _, entry := range z.File {
		if !strings.HasSuffix(entry.Name, ".txz") {
			continue
		}
		if err := unpackEntry(entry, draft); err != nil {
			return fmt.Errorf("unpack %s: %w", entry.Name, err)
		}
		err := os.Rename(draft, a.folder(cache))
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		return err
	}
	return fmt.Errorf("%s has no .txz in it", jar)
}

func unpackEntry(entry *zip.File, dir string) error {
	r, err := entry.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return untarXZ(r, dir)
}
