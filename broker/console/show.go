package console

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A table is what one SHOW answers.
type table struct {
	columns []column
	rows    func(ctx context.Context, c *Console, v *Visit) ([]row, error)
}

// none is the content of tables about things that this pooler has not.
func none(context.Context, *Console, *Visit) ([]row, error) { return nil, nil }

// tables by name. SHOW HELP, which is none, is in command.go.
var tables = map[string]table{
	"clients":        {socketColumns, showClients},
	"config":         {configColumns, showConfig},
	"databases":      {databaseColumns, showDatabases},
	"dns_hosts":      {hostsColumns, none},
	"dns_zones":      {zonesColumns, none},
	"lists":          {listsColumns, showLists},
	"mem":            {memColumns, none},
	"peers":          {peersColumns, none},
	"peer_pools":     {peerPools, none},
	"pins":           {pinColumns, showPins},
	"pools":          {poolColumns, showPools},
	"servers":        {socketColumns, showServers},
	"state":          {stateColumns, showState},
	"stats":          {statsColumns, showStats},
	"stats_averages": {statsAveragesColumns, showStatsAverages},
	"stats_totals":   {statsTotalsColumns, showStatsTotals},
	"totals":         {totalsColumns, showTotals},
	"users":          {userColumns, showUsers},
	"version":        {versionColumns, showVersion},
}

// faked are settings of PostgreSQL that drivers ask for before they go on.
var faked = map[string]string{
	"client_encoding":               "UTF-8",
	"datestyle":                     "ISO",
	"default_transaction_isolation": "read committed",
	"extra_float_digits":            "2",
	"standard_conforming_strings":   "on",
	"timezone":                      "GMT",
}

// fakedTable answers the SHOW of a faked setting.
func fakedTable(name, value string) table {
	return table{columns(text, name), func(context.Context, *Console, *Visit) ([]row, error) {
		return []row{{value}}, nil
	}}
}

// pools are those of the pooler, and before them the console's own.
func (c *Console) pools(ctx context.Context) ([]Pool, error) {
	pools, err := c.pooler.Pools(ctx)
	if err != nil {
		return nil, err
	}
	return append([]Pool{c.ownPool()}, pools...), nil
}

func showPools(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	pools, err := c.pools(ctx)
	var rows []row
	for _, p := range pools {
		rows = append(rows, row{
			p.Database, p.User,
			count(p.ClientsActive), count(p.ClientsWaiting), count(0), count(0),
			count(p.ServersActive), count(0), count(p.ServersCancelled), count(p.ServersIdle), count(0), count(p.ServersTested), count(p.ServersLogin),
			seconds(p.MaxWait), microseconds(p.MaxWait), orNull(p.Mode), nil,
		})
	}
	return rows, err
}

func showClients(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	clients, err := c.pooler.Clients(ctx)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, x := range append(c.ownClients(), clients...) {
		var link any
		if x.Server != 0 {
			link = pointer("S", x.Server)
		}
		host, port := address(x.Remote)
		localHost, localPort := address(x.Local)
		rows = append(rows, row{
			"C", x.User, x.Database, replication(x.Replication), x.State,
			host, port, localHost, localPort, moment(x.Since), moment(x.Request), seconds(x.Wait), microseconds(x.Wait), count(0),
			pointer("C", x.ID), link, count(0), x.TLS, x.Application, count(x.Statements), int64(x.ID),
		})
	}
	return rows, nil
}

func showServers(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	servers, err := c.pooler.Servers(ctx)
	var rows []row
	for _, s := range servers {
		var link any
		if s.Client != 0 {
			link = pointer("C", s.Client)
		}
		host, port := address(s.Remote)
		localHost, localPort := address(s.Local)
		rows = append(rows, row{
			"S", s.User, s.Database, replication(s.Replication), s.State,
			host, port, localHost, localPort, moment(s.Since), moment(s.Request), count(0), count(0), flag(s.Closing),
			pointer("S", s.ID), link, count(s.PID), s.TLS, s.Application, count(s.Statements), int64(s.ID),
		})
	}
	return rows, err
}

// showPins tells which servers stay with their clients, and why.
func showPins(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	clients, err := c.pooler.Clients(ctx)
	if err != nil {
		return nil, err
	}
	servers, err := c.pooler.Servers(ctx)
	pids := map[uint64]int{}
	for _, s := range servers {
		pids[s.ID] = s.PID
	}
	var rows []row
	for _, x := range clients {
		if len(x.Pins) == 0 {
			continue
		}
		idle := time.Duration(0)
		if x.State != "active" {
			idle = c.now().Sub(x.Quiet)
		}
		rows = append(rows, row{
			x.Database, x.User, int64(x.ID), int64(x.Server), count(pids[x.Server]),
			strings.Join(x.Pins, ", "), moment(x.Pinned), seconds(idle),
		})
	}
	return rows, err
}

func showDatabases(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	databases, err := c.pooler.Databases(ctx)
	var rows []row
	for _, d := range append(databases, c.ownDatabase()) {
		var user any
		if d.Name == databaseOfPgBouncer {
			user = databaseOfPgBouncer
		}
		rows = append(rows, row{
			d.Name, orNull(d.Host), count(d.Port), d.Database, user,
			count(d.PoolSize), count(d.MinPoolSize), count(0), seconds(d.ServerLifetime), orNull(d.Mode), nil,
			count(d.MaxServers), count(d.Servers), count(d.MaxClients), count(d.Clients), flag(d.Paused), flag(d.Disabled),
		})
	}
	return rows, err
}

func showUsers(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	users, err := c.pooler.Users(ctx)
	var rows []row
	for _, u := range users {
		rows = append(rows, row{
			u.Name, "", "", orNull(u.Mode), count(0), count(0), count(u.MaxClients), count(u.Clients),
		})
	}
	return rows, err
}

func showLists(ctx context.Context, c *Console, _ *Visit) ([]row, error) {
	pools, err := c.pools(ctx)
	if err != nil {
		return nil, err
	}
	databases, err := c.pooler.Databases(ctx)
	if err != nil {
		return nil, err
	}
	users, err := c.pooler.Users(ctx)
	if err != nil {
		return nil, err
	}
	usedClients, freeServers, usedServers := 0, 0, 0
	for _, p := range pools {
		usedClients += p.ClientsActive + p.ClientsWaiting
		freeServers += p.ServersIdle
		usedServers += p.ServersActive + p.ServersTested + p.ServersCancelled + p.ServersLogin
	}
	var rows []row
	for _, l := range []struct {
		name string
		n    int
	}{
		{"databases", len(databases) + 1},
		{"users", len(users)},
		{"peers", 0},
		{"pools", len(pools)},
		{"peer_pools", 0},
		{"free_clients", 0},
		{"used_clients", usedClients},
		{"login_clients", c.pooler.LoginClients()},
		{"free_servers", freeServers},
		{"used_servers", usedServers},
		{"dns_names", 0},
		{"dns_zones", 0},
		{"dns_queries", 0},
		{"dns_pending", 0},
	} {
		rows = append(rows, row{l.name, count(l.n)})
	}
	return rows, nil
}

func showConfig(_ context.Context, c *Console, _ *Visit) ([]row, error) {
	settings := append(c.pooler.Settings(), Setting{Name: "stats_period", Value: strconv.Itoa(int(period.Seconds())), Default: strconv.Itoa(int(period.Seconds()))})
	slices.SortFunc(settings, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	var rows []row
	for _, s := range settings {
		rows = append(rows, row{s.Name, s.Value, s.Default, yesNo(s.Reloads)})
	}
	return rows, nil
}

// showVersion leads with PgBouncer's where the database is PgBouncer's: monitoring
// refuses what it takes for a PgBouncer that is too old to have its columns.
func showVersion(_ context.Context, c *Console, v *Visit) ([]row, error) {
	ours := "Dermaga " + c.version
	if v.Database == databaseOfPgBouncer {
		return []row{{fmt.Sprintf("PgBouncer %s (%s)", likeVersion, ours)}}, nil
	}
	return []row{{ours}}, nil
}

func showState(_ context.Context, c *Console, _ *Visit) ([]row, error) {
	paused := c.pooler.Paused()
	return []row{{"active", yesNo(!paused)}, {"paused", yesNo(paused)}}, nil
}

// How values are written.

// moment is how PgBouncer writes times; a time that never came is NULL.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// microseconds are what is left of d beyond its seconds.
func microseconds(d time.Duration) int64 { return int64(d % time.Second / time.Microsecond) }

func pointer(sort string, id uint64) string { return fmt.Sprintf("%s-%d", sort, id) }

// address splits host:port; what is none becomes a host.
func address(at string) (host any, port int64) {
	h, p, err := net.SplitHostPort(at)
	if err != nil {
		return orNull(at), 0
	}
	port, _ = strconv.ParseInt(p, 10, 32)
	return h, port
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func replication(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
