package broker

import (
	"strconv"
	"time"

	"github.com/nusajournal/dermaga/broker/console"
)

// settingsOf are c's settings for SHOW CONFIG, in seconds where they are times, as
// PgBouncer writes them; 0 is none. No secret is among them, and none may become
// one: whoever may SHOW reads them.
func settingsOf(c Config) []console.Setting {
	s := func(name, value string) console.Setting { return console.Setting{Name: name, Value: value} }
	return []console.Setting{
		// By the names that PgBouncer has for them.
		s("application_name_add_host", "0"),
		s("auth_type", "scram-sha-256"),
		s("cancel_wait_timeout", seconds(c.CancelWaitTimeout)),
		s("client_idle_timeout", seconds(c.ClientIdleTimeout)),
		s("client_login_timeout", seconds(c.ClientLoginTimeout)),
		{Name: "client_tls_sslmode", Value: offersTLS(c), Reloads: true}, // its certificate
		s("default_pool_size", "10"),                                     // the plan STARTER's, as a registry is made; SHOW DATABASES has each tenant's
		s("idle_transaction_timeout", seconds(c.IdleTransactionTimeout)),
		s("ignore_startup_parameters", ""), // all are carried
		s("max_client_conn", integer(c.MaxClients)),
		s("max_db_client_connections", "0"), // plans and tenants have them
		s("max_db_connections", "0"),
		s("max_prepared_statements", integer(c.MaxPreparedStatements)),
		s("max_user_client_connections", "0"),
		s("max_user_connections", "0"),
		s("min_pool_size", "0"), // tenants have it
		s("pool_mode", c.PoolMode),
		s("query_timeout", seconds(c.QueryTimeout)),
		s("query_wait_notify", seconds(c.QueryWaitNotify)),
		s("query_wait_timeout", seconds(c.QueryWaitTimeout)),
		s("reserve_pool_size", "0"),
		s("reserve_pool_timeout", "0"),
		s("server_check_delay", seconds(c.ServerCheckDelay)),
		s("server_check_query", ""),
		s("server_connect_timeout", seconds(c.ServerConnectTimeout)),
		s("server_idle_timeout", seconds(c.ServerIdleTimeout)),
		s("server_lifetime", seconds(c.ServerLifetime)),
		s("server_login_retry", seconds(c.ServerLoginRetry)),
		s("server_reset_query", "DISCARD ALL"),
		s("so_reuseport", "0"),
		s("tcp_keepalive", "1"),
		s("tcp_keepcnt", integer(keepAlive.Count)),
		s("tcp_keepidle", seconds(keepAlive.Idle)),
		s("tcp_keepintvl", seconds(keepAlive.Interval)),
		s("tcp_user_timeout", strconv.FormatInt(max(c.TCPUserTimeout, 0).Milliseconds(), 10)), // the one in milliseconds
		s("transaction_timeout", seconds(c.TransactionTimeout)),

		// Ours.
		s("connection_ttl", seconds(c.ConnectionTTL)),
		s("loops", integer(c.Loops)),
		s("max_connections", integer(c.MaxConnections)), // tenants with open pools
		s("max_handshakes", integer(c.MaxHandshakes)),
		s("max_pinned", integer(c.MaxPinned)),
		s("migration_wait_timeout", seconds(c.MigrationWait)),
		s("pin_idle_timeout", seconds(c.PinIdleTimeout)),
		s("provision_wait_timeout", seconds(c.ProvisionWait)),
		s("queue_length", integer(c.QueueLength)),
		s("suspend_grace", seconds(c.SuspendGrace)),
		s("transaction_state", c.TransactionState),
		s("version", c.Version),
	}
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(max(d, 0).Seconds(), 'f', -1, 64)
}

func offersTLS(c Config) string {
	switch {
	case c.TLS == nil:
		return "disable"
	case c.RequireTLS:
		return "require"
	}
	return "allow"
}

func integer(n int) string { return strconv.Itoa(n) }
