package privatepg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPostgreSQL is returned by Start when no usable binaries were found; the
// text says what to install.
var ErrNoPostgreSQL = errors.New("no PostgreSQL server found")

// oldest is the first major version that we run: 13's initdb lacks
// --no-instructions, and community support for it has ended.
const oldest = 14

// binaries is a folder with initdb and postgres of one version.
type binaries struct {
	dir   string
	major int
}

func (b binaries) initdb() string   { return filepath.Join(b.dir, "initdb") }
func (b binaries) postgres() string { return filepath.Join(b.dir, "postgres") }

// findBinaries takes the first folder that has the binaries, in the version of
// the cluster when there is one already (major 0: there is none).
func findBinaries(ctx context.Context, cfg Config, major int, owner account) (binaries, error) {
	if cfg.Bin != "" {
		return named(ctx, cfg.Bin, major, owner)
	}
	for _, dir := range candidates() {
		set, err := inspect(ctx, dir)
		if err == nil && fits(set, major) && owner.reaches(set.dir) == nil {
			return set, nil
		}
	}
	if cfg.Fetch && (major == 0 || major == archiveMajor) {
		return fetched(ctx, owner, cfg.Log)
	}
	return binaries{}, notFound(major)
}

// named checks the folder that the caller asked for: it is this one or an error.
func named(ctx context.Context, dir string, major int, owner account) (binaries, error) {
	set, err := inspect(ctx, dir)
	switch {
	case err != nil:
		return binaries{}, fmt.Errorf("%w in %s: %w", ErrNoPostgreSQL, dir, err)
	case !fits(set, major) && major != 0:
		return binaries{}, fmt.Errorf("PostgreSQL %d in %s cannot run a data folder that PostgreSQL %d made", set.major, dir, major)
	case !fits(set, major):
		return binaries{}, fmt.Errorf("PostgreSQL %d in %s is too old: %d or newer is needed", set.major, dir, oldest)
	}
	return set, owner.reaches(set.dir)
}

func fits(set binaries, major int) bool {
	if major != 0 {
		return set.major == major
	}
	return set.major >= oldest
}

// candidates are the folders to look in: PATH (which has Debian's wrappers but
// not its servers), Debian's and Red Hat's own, Homebrew's; newest first.
func candidates() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the only error is a bad pattern
		slices.SortFunc(found, func(a, b string) int { return numberIn(b) - numberIn(a) })
		dirs = append(dirs, found...)
	}
	return dirs
}

var digits = regexp.MustCompile(`\d+`)

func numberIn(path string) int {
	n, _ := strconv.Atoi(digits.FindString(path))
	return n
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect asks the binaries of a folder for their version.
func inspect(ctx context.Context, dir string) (binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, err
	}
	set := binaries{dir: dir}
	if _, err := os.Stat(set.initdb()); err != nil {
		return binaries{}, err
	}
	ask := exec.CommandContext(ctx, set.postgres(), "--version")
	ask.Env = childEnv()
	out, err := ask.Output()
	if err != nil {
		return binaries{}, fmt.Errorf("ask %s for its version: %w", set.postgres(), err)
	}
	m := versionLine.FindStringSubmatch(string(out))
	if m == nil {
		return binaries{}, fmt.Errorf("%s says %q, not its version", set.postgres(), strings.TrimSpace(string(out)))
	}
	set.major, err = strconv.Atoi(m[1])
	return set, err
}

// notFound says what to do on this machine.
func notFound(major int) error {
	version := ""
	if major != 0 {
		version = fmt.Sprintf(" %d, which made the data folder,", major)
	}
	how := "apt install postgresql (Debian, Ubuntu), dnf install postgresql-server (Fedora)"
	if runtime.GOOS == "darwin" {
		how = "brew install postgresql@18"
	}
	return fmt.Errorf("%w: looked for PostgreSQL%s in PATH and the usual folders; "+
		"install it: %s; or name the folder of its initdb and postgres with --postgres-bin, or use a running server with --server-url",
		ErrNoPostgreSQL, version, how)
}

// fetched is the archive's set of binaries, downloaded at the first call.
func fetched(ctx context.Context, owner account, log *slog.Logger) (binaries, error) {
	dir, err := fetchArchive(ctx, log)
	if err != nil {
		return binaries{}, fmt.Errorf("%w, and its archive could not be fetched: %w; %w", ErrNoPostgreSQL, err, notFound(0))
	}
	if err := owner.reaches(dir); err != nil {
		return binaries{}, err
	}
	return inspect(ctx, dir)
}
