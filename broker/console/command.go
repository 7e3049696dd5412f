package console

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// An order is what a request comes to once it is known to be possible: a table to
// show, or something to do. Which of the two decides how a client that prepares
// it is answered.
type order struct {
	text   string // the query
	table  *table
	tag    string
	notice string // with detail, before the answer
	detail string
	do     func(ctx context.Context, c *Console) error // nil: nothing
	admin  bool                                        // who may only SHOW may not
}

// resolve finds the order for r, which is not empty.
func resolve(r request) (order, *fault) {
	switch r.verb {
	case "show", "select": // as PgBouncer does
		return resolveShow(r)
	case "set":
		name := strings.ToLower(r.arg)
		if _, ok := faked[name]; ok || name == "application_name" {
			return order{tag: "SET", notice: "SET ignored"}, nil
		}
		return order{tag: "SET", admin: true, do: func(context.Context, *Console) error { return faultSet }}, nil
	}
	c, ok := commands[r.verb]
	if !ok || c.alone && r.arg != "" {
		return order{}, faultSyntax(r.text)
	}
	return order{
		tag: strings.ToUpper(r.verb), admin: true,
		do: func(ctx context.Context, con *Console) error {
			if c.database && virtual(r.arg) {
				return faultAdminDatabase(r.verb, r.arg)
			}
			return worded(c.do(ctx, con, r.arg), r)
		},
	}, nil
}

func resolveShow(r request) (order, *fault) {
	name := strings.ToLower(r.arg)
	if name == "help" {
		return order{tag: "SHOW", notice: "Console usage", detail: usage}, nil
	}
	t, ok := tables[name]
	if value, fake := faked[name]; fake {
		t, ok = fakedTable(name, value), true
	}
	if !ok {
		return order{}, faultSyntax(r.text)
	}
	return order{tag: "SHOW", table: &t}, nil
}

// A command tells the pooler to do something.
type command struct {
	do       func(ctx context.Context, c *Console, arg string) error
	alone    bool // it takes no argument
	database bool // its argument is one
}

// commands by name; all need the role admin.
var commands = map[string]command{
	"pause":     {do: func(ctx context.Context, c *Console, db string) error { return c.pooler.Pause(ctx, db) }, database: true},
	"resume":    {do: func(ctx context.Context, c *Console, db string) error { return c.pooler.Resume(ctx, db) }, database: true},
	"kill":      {do: func(ctx context.Context, c *Console, db string) error { return c.pooler.Kill(ctx, db) }, database: true},
	"reconnect": {do: func(ctx context.Context, c *Console, db string) error { return c.pooler.Reconnect(ctx, db) }, database: true},
	"reload":    {do: func(ctx context.Context, c *Console, _ string) error { return c.pooler.Reload(ctx) }, alone: true},

	"kill_client": {do: killClient},

	"disable":    elsewhere("DISABLE", "dermaga tenant suspend SLUG refuses a tenant's clients"),
	"enable":     elsewhere("ENABLE", "dermaga tenant resume SLUG serves a tenant's clients again"),
	"shutdown":   elsewhere("SHUTDOWN", "end the process with SIGTERM: it lets running transactions finish"),
	"suspend":    elsewhere("SUSPEND", "PAUSE waits until no transaction runs"),
	"wait_close": elsewhere("WAIT_CLOSE", "RECONNECT closes servers as they become free; SHOW SERVERS tells which are left"),
}

// elsewhere is a command of PgBouncer's for which there is another way.
func elsewhere(verb, hint string) command {
	return command{do: func(context.Context, *Console, string) error { return faultElsewhere(verb, hint) }}
}

func killClient(ctx context.Context, c *Console, arg string) error {
	id, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return faultPointer
	}
	if c.kill(id) {
		return nil
	}
	found, err := c.pooler.KillClient(ctx, id)
	if err == nil && !found {
		return faultNoClient
	}
	return err
}

// worded puts a pooler's error into words for the client.
func worded(err error, r request) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNoDatabase):
		return faultNoDatabase(r.arg)
	case errors.Is(err, ErrPaused):
		return faultPaused
	case errors.Is(err, ErrResumed):
		return faultResumed
	case errors.Is(err, ErrNotPaused) && r.arg != "":
		return faultDatabaseNotPaused(r.arg)
	case errors.Is(err, ErrNotPaused):
		return faultNotPaused
	case r.verb == "reload":
		return errors.Join(faultReload, err)
	}
	return err
}

// usage is the DETAIL of SHOW HELP.
const usage = `
	SHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|PINS|VERSION
	SHOW LISTS|STATE|STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS
	RELOAD
	PAUSE [<db>]
	RESUME [<db>]
	RECONNECT [<db>]
	KILL [<db>]
	KILL_CLIENT <client_id>`

// appendNotices appends what goes before o's answer.
func (o order) appendNotices(b []byte) []byte {
	if o.notice == "" {
		return b
	}
	return appendNotice(b, o.notice, o.detail)
}
