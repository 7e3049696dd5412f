package console

// The columns of PgBouncer 1.26.1, in its order and of its types: exporters look
// for names, scripts count. What a pooler of ours has none of is zero or NULL. Our
// own columns and tables come after, or are tables of their own.

func columns(oid uint32, names ...string) (cs []column) {
	for _, name := range names {
		cs = append(cs, column{name, oid})
	}
	return cs
}

func join(groups ...[]column) (cs []column) {
	for _, g := range groups {
		cs = append(cs, g...)
	}
	return cs
}

var poolColumns = join(
	columns(text, "database", "user"),
	columns(int4, "cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req",
		"sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us"),
	columns(text, "pool_mode", "load_balance_hosts"),
)

// socketColumns are those of clients and of servers.
var socketColumns = join(
	columns(text, "type", "user", "database", "replication", "state", "addr"),
	columns(int4, "port"),
	columns(text, "local_addr"),
	columns(int4, "local_port"),
	columns(text, "connect_time", "request_time"),
	columns(int4, "wait", "wait_us", "close_needed"),
	columns(text, "ptr", "link"),
	columns(int4, "remote_pid"),
	columns(text, "tls", "application_name"),
	columns(int4, "prepared_statements", "id"),
)

var databaseColumns = join(
	columns(text, "name", "host"),
	columns(int4, "port"),
	columns(text, "database", "force_user"),
	columns(int4, "pool_size", "min_pool_size", "reserve_pool_size", "server_lifetime"),
	columns(text, "pool_mode", "load_balance_hosts"),
	columns(int4, "max_connections", "current_connections", "max_client_connections", "current_client_connections", "paused", "disabled"),
)

var userColumns = join(
	columns(text, "name", "pool_size", "reserve_pool_size", "pool_mode"),
	columns(int4, "max_user_connections", "current_connections", "max_user_client_connections", "current_client_connections"),
)

// PgBouncer names the same twelve figures in three ways (src/stats.c), and not
// one of them by a rule.

var statsColumns = join(
	columns(text, "database"),
	columns(numeric,
		"total_server_assignment_count", "total_xact_count", "total_query_count", "total_received", "total_sent",
		"total_xact_time", "total_query_time", "total_wait_time",
		"total_client_parse_count", "total_server_parse_count", "total_bind_count", "total_client_login_count",
		"avg_server_assignment_count", "avg_xact_count", "avg_query_count", "avg_recv", "avg_sent",
		"avg_xact_time", "avg_query_time", "avg_wait_time",
		"avg_client_parse_count", "avg_server_parse_count", "avg_bind_count", "avg_client_login_count"),
)

var statsTotalsColumns = join(
	columns(text, "database"),
	columns(numeric,
		"server_assignment_count", "xact_count", "query_count", "bytes_received", "bytes_sent",
		"xact_time", "query_time", "wait_time",
		"client_parse_count", "server_parse_count", "bind_count", "client_login_count"),
)

var statsAveragesColumns = join(
	columns(text, "database"),
	columns(numeric,
		"server_assignment_count", "xact_count", "query_count", "bytes_received", "bytes_sent",
		"xact_time", "query_time", "wait_time",
		"avg_client_parse_count", "avg_server_parse_count", "avg_bind_count", "avg_client_login_count"),
)

var (
	totalsColumns  = join(columns(text, "name"), columns(numeric, "value"))
	listsColumns   = join(columns(text, "list"), columns(int4, "items"))
	configColumns  = columns(text, "key", "value", "default", "changeable")
	versionColumns = columns(text, "version")
	stateColumns   = columns(text, "key", "value")
	memColumns     = join(columns(text, "name"), columns(int4, "size", "used", "free", "memtotal"))
	peersColumns   = join(columns(int4, "peer_id"), columns(text, "host"), columns(int4, "port", "pool_size"))
	peerPools      = columns(int4, "peer_id", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active_cancel", "sv_login")
	hostsColumns   = join(columns(text, "hostname"), columns(int8, "ttl"), columns(text, "addrs"))
	zonesColumns   = join(columns(text, "zonename"), columns(int8, "serial"), columns(int4, "count"))
)

// pinColumns are ours: which server stays with which client, and why.
var pinColumns = join(
	columns(text, "database", "user"),
	columns(int4, "client_id", "server_id", "server_pid"),
	columns(text, "reason", "since"),
	columns(int4, "idle_seconds"),
)
