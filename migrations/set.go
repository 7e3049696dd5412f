package migrations

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"path"

	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

//go:embed registry/*.sql journal/*.sql seed/*.sql
var files embed.FS

var (
	registrySet = mustLoad(files, "registry", "dermaga", "pg_catalog")
	journalSet  = mustLoad(files, "journal", "public", "public")
)

// A Set is a list of schema files in the order of their versions. It is
// immutable and safe for concurrent use.
type Set struct {
	name       string // also its folder
	fsys       fs.FS
	schema     string // where schema_migrations stands
	searchPath string // while a file runs, whatever the connection's is
	up         []file // oldest first
}

type file struct {
	version uint64
	name    string
	sha256  [32]byte
}

// Journal is the schema of a tenant's database.
func Journal() Set { return journalSet }

// Name is what the set is called in tenant_migrations.
func (s Set) Name() string { return s.name }

// Latest returns the version of the newest file.
func (s Set) Latest() uint64 { return s.up[len(s.up)-1].version }

func (s Set) source() (source.Driver, error) { return iofs.New(s.fsys, s.name) }

// next returns the file that follows a version; 0 stands for an empty database.
func (s Set) next(version uint64) (file, bool) {
	for _, f := range s.up {
		if f.version > version {
			return f, true
		}
	}
	return file{}, false
}

// load reads a set's folder. Every version must have both of its files.
func load(fsys fs.FS, name, schema, searchPath string) (Set, error) {
	s := Set{name: name, fsys: fsys, schema: schema, searchPath: searchPath}
	src, err := s.source()
	if err != nil {
		return Set{}, fmt.Errorf("migrations of %s: %w", name, err)
	}
	for v, err := src.First(); err == nil; v, err = src.Next(v) {
		_, id, err := src.ReadUp(v)
		if err != nil {
			return Set{}, fmt.Errorf("migrations of %s: %w", name, err)
		}
		if _, _, err := src.ReadDown(v); err != nil {
			return Set{}, fmt.Errorf("migrations of %s: %w", name, err)
		}
		text, err := fs.ReadFile(fsys, path.Join(name, fmt.Sprintf("%06d_%s.up.sql", v, id)))
		if err != nil {
			return Set{}, fmt.Errorf("migrations of %s: %w", name, err)
		}
		s.up = append(s.up, file{version: uint64(v), name: id, sha256: sha256.Sum256(text)})
	}
	if len(s.up) == 0 {
		return Set{}, fmt.Errorf("migrations of %s: no files", name)
	}
	return s, nil
}

func mustLoad(fsys fs.FS, name, schema, searchPath string) Set {
	s, err := load(fsys, name, schema, searchPath)
	if err != nil {
		panic(err) // the files are inside the binary: a test would have seen it
	}
	return s
}
