package state_test

import (
	"context"
	"flag"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

// long runs all cells; make soak sets it.
var long = flag.Bool("long", false, "run the whole matrix, and not a part of it")

func TestMain(m *testing.M) {
	flag.Parse()
	pgtest.Main(m)
}

// The roles of the cluster: most clients log in as app, which may SET ROLE to
// other. What only a superuser can do, the superuser does.
const (
	roles = `create role other; create role app login password 'app' in role other; grant pg_read_all_data to app`
	super = "postgres"
	app   = "app"
)

var makeRoles sync.Once

// database makes an empty database and says where role logs in to it.
func database(t *testing.T) (asSuper, asApp string) {
	asSuper = pgtest.Database(t)
	makeRoles.Do(func() { run(t, asSuper, roles) })
	u, err := url.Parse(asSuper)
	require.NoError(t, err)
	u.User = url.UserPassword(app, "app")
	return asSuper, u.String()
}

// run runs sql on a connection of its own.
func run(t *testing.T, url, sql string) {
	t.Helper()
	c, err := pgconn.Connect(context.Background(), url)
	require.NoError(t, err)
	defer func() { _ = c.Close(context.Background()) }()
	_, err = c.Exec(context.Background(), sql).ReadAll()
	require.NoError(t, err, sql)
}
