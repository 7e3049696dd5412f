package main

import (
	"log/slog"
	"time"

	"github.com/nusajournal/dermaga/registry"
)

// table declares every setting. Order is the order in the documentation.
var table = []setting{
	{
		group: registryGroup, flag: "registry-url", env: "REGISTRY_DATABASE_URL", secret: true,
		doc:   "connection URL of the registry database; as a flag its password shows in the process list",
		parse: postgresURL(func(o *options) *registry.Secret { return &o.registry.url }),
	},
	{
		group: sealingGroup, flag: "encryption-key-file", env: "ENCRYPTION_KEY", secret: true, fromFile: true,
		doc:   "key that seals the stored passwords: 32 characters, 64 hex digits or base64; the variable holds it, the flag names a file with it; make one with: openssl rand -hex 32",
		parse: keys(func(o *options) **registry.Keys { return &o.registry.keys }),
	},
	{
		group: sealingGroup, flag: "registry-cache-size", env: "DERMAGA_REGISTRY_CACHE_SIZE", def: "10000",
		doc:   "routes kept in memory, one for each tenant and login in use",
		parse: whole(func(o *options) *int { return &o.registry.cacheSize }, 1, 10_000_000),
	},
	{
		group: sealingGroup, flag: "registry-cache-ttl", env: "DERMAGA_REGISTRY_CACHE_TTL", def: "5m",
		doc:   "time after which a route is read again although no change was announced",
		parse: duration(func(o *options) *time.Duration { return &o.registry.cacheTTL }),
	},
	{
		group: sealingGroup, flag: "registry-negative-ttl", env: "DERMAGA_REGISTRY_NEGATIVE_TTL", def: "5s",
		doc:   "time for which an unknown tenant or login stays unknown without being asked for again",
		parse: duration(func(o *options) *time.Duration { return &o.registry.negativeTTL }),
	},
	{
		group: sealingGroup, flag: "registry-stale-max", env: "DERMAGA_REGISTRY_STALE_MAX", def: "1h",
		doc:   "time for which known tenants keep working while the registry is down",
		parse: duration(func(o *options) *time.Duration { return &o.registry.staleMax }),
	},

	{
		group: tenantsGroup, flag: "database-url", env: "DATABASE_URL", secret: true,
		doc:   "administrative connection to the server of the tenant databases, read once, when the registry has no server yet: a role with CREATEDB and CREATEROLE, or a superuser, who makes that role",
		parse: postgresURL(func(o *options) *registry.Secret { return &o.tenants.url }),
	},
	{
		group: tenantsGroup, flag: "tenant-db-host", env: "TENANT_DB_HOST", defDoc: "host of DATABASE_URL",
		doc:   "host at which the broker reaches the tenant databases",
		parse: text("HOST", func(o *options) *string { return &o.tenants.host }),
	},
	{
		group: tenantsGroup, flag: "tenant-db-port", env: "TENANT_DB_PORT", defDoc: "port of DATABASE_URL",
		doc:   "port at which the broker reaches the tenant databases",
		parse: whole(func(o *options) *int { return &o.tenants.port }, 1, 65535),
	},
	{
		group: tenantsGroup, flag: "database-prefix", env: "DERMAGA_DATABASE_PREFIX", def: "nusa_journal_",
		doc:   "first part of a new tenant's database name, before its slug; databases that exist keep theirs",
		parse: text("TEXT", func(o *options) *string { return &o.tenants.prefix }),
	},

	{
		group: partsGroup, flag: "no-admin", env: "DERMAGA_NO_ADMIN", def: "false",
		doc:   "leave out the admin API; /health, /ready and /metrics stay at its address",
		parse: yesNo(func(o *options) *bool { return &o.parts.noAdmin }),
	},
	{
		group: partsGroup, flag: "no-broker", env: "DERMAGA_NO_BROKER", def: "false",
		doc:   "leave out the broker: this process administers, others serve clients",
		parse: yesNo(func(o *options) *bool { return &o.parts.noBroker }),
	},

	{
		group: brokerGroup, flag: "listen", env: "DERMAGA_LISTEN", def: "127.0.0.1:6432",
		doc:   "address at which clients reach the broker",
		parse: address(func(o *options) *string { return &o.broker.listen }),
	},
	{
		group: brokerGroup, flag: "advertise", env: "DERMAGA_ADVERTISE", defDoc: "the address of --listen",
		doc:   "HOST:PORT that the connection URLs of new tenants name",
		parse: address(func(o *options) *string { return &o.broker.advertise }),
	},
	{
		group: brokerGroup, flag: "tls-cert", env: "DERMAGA_TLS_CERT",
		doc:   "PEM file with the broker's certificate and its chain; without one TLS is not offered",
		parse: text("FILE", func(o *options) *string { return &o.broker.tlsCert }),
	},
	{
		group: brokerGroup, flag: "tls-key", env: "DERMAGA_TLS_KEY",
		doc:   "PEM file with the certificate's private key",
		parse: text("FILE", func(o *options) *string { return &o.broker.tlsKey }),
	},
	{
		group: brokerGroup, flag: "require-tls", env: "DERMAGA_REQUIRE_TLS", def: "false",
		doc:   "refuse clients that do not ask for TLS",
		parse: yesNo(func(o *options) *bool { return &o.broker.requireTLS }),
	},
	{
		group: brokerGroup, flag: "pool-mode", env: "DERMAGA_POOL_MODE", def: "auto",
		doc:   "how clients share server connections, unless the tenant, the login or the client says otherwise: auto, transaction, statement or session; auto gives a connection back after each transaction and loses no session state",
		parse: oneOf(func(o *options) *string { return &o.broker.poolMode }, registry.PoolModes...),
	},
	{
		group: brokerGroup, flag: "max-connections", env: "MAX_CONNECTIONS", def: "50",
		doc:   "tenants with open pools at the same time; one more closes the pools of the least recently used",
		parse: whole(func(o *options) *int { return &o.broker.maxConnections }, 1, 1_000_000),
	},
	{
		group: brokerGroup, flag: "connection-ttl", env: "CONNECTION_TTL", def: "30m",
		doc:   "time after which the pools of a tenant that nobody uses are closed (a bare number counts milliseconds, here and below)",
		parse: duration(func(o *options) *time.Duration { return &o.broker.connectionTTL }),
	},
	{
		group: brokerGroup, flag: "max-client-conn", env: "DERMAGA_MAX_CLIENT_CONN", def: "10000",
		doc:   "clients connected at the same time, of all tenants; each takes a file descriptor, as does each server connection",
		parse: whole(func(o *options) *int { return &o.broker.maxClients }, 1, 1_000_000),
	},
	{
		group: brokerGroup, flag: "queue-length", env: "DERMAGA_QUEUE_LENGTH", defDoc: "no limit but the time",
		doc:   "clients of one pool that may wait for a server connection; one more is refused at once",
		parse: whole(func(o *options) *int { return &o.broker.queueLength }, 1, 1_000_000),
	},
	{
		group: brokerGroup, flag: "max-prepared-statements", env: "DERMAGA_MAX_PREPARED_STATEMENTS", def: "200",
		doc:   "prepared statements that a server connection keeps for its clients; the least recently used makes room",
		parse: whole(func(o *options) *int { return &o.broker.preparedStatements }, 1, 1_000_000),
	},
	{
		group: brokerGroup, flag: "query-wait-timeout", env: "DERMAGA_QUERY_WAIT_TIMEOUT", def: "2m",
		doc:   "longest wait of a client for a server connection; of this and of the settings down to transaction-state, a tenant may have its own: dermaga tenant set",
		parse: duration(func(o *options) *time.Duration { return &o.broker.queryWait }),
	},
	{
		group: brokerGroup, flag: "query-wait-notify", env: "DERMAGA_QUERY_WAIT_NOTIFY", def: "5s",
		doc:   "a client that waits for a server connection for longer is told so by a notice; off: never",
		parse: durationOrOff(func(o *options) *time.Duration { return &o.broker.waitNotify }),
	},
	{
		group: brokerGroup, flag: "query-timeout", env: "DERMAGA_QUERY_TIMEOUT", def: "off",
		doc:   "longest time of a query; then it is cancelled, whatever statement_timeout its session has set",
		parse: durationOrOff(func(o *options) *time.Duration { return &o.broker.query }),
	},
	{
		group: brokerGroup, flag: "idle-transaction-timeout", env: "DERMAGA_IDLE_TRANSACTION_TIMEOUT", def: "off",
		doc:   "longest time that a client sends nothing in an open transaction; then the transaction is rolled back and the client closed",
		parse: durationOrOff(func(o *options) *time.Duration { return &o.broker.idleTransaction }),
	},
	{
		group: brokerGroup, flag: "transaction-timeout", env: "DERMAGA_TRANSACTION_TIMEOUT", def: "off",
		doc:   "longest time of a transaction; then it is rolled back and the client closed",
		parse: durationOrOff(func(o *options) *time.Duration { return &o.broker.transaction }),
	},
	{
		group: brokerGroup, flag: "client-idle-timeout", env: "DERMAGA_CLIENT_IDLE_TIMEOUT", def: "off",
		doc:   "longest time that a client sends nothing outside of transactions; then it is closed, and drivers with a pool of their own must expect that",
		parse: durationOrOff(func(o *options) *time.Duration { return &o.broker.clientIdle }),
	},
	{
		group: brokerGroup, flag: "pin-idle-timeout", env: "DERMAGA_PIN_IDLE_TIMEOUT", def: "1m",
		doc:   "longest time that an idle client keeps a server connection which others wait for, in mode auto for state that cannot follow it; then it is closed",
		parse: durationOrOff(func(o *options) *time.Duration { return &o.broker.pinIdle }),
	},
	{
		group: brokerGroup, flag: "max-pinned", env: "DERMAGA_MAX_PINNED", defDoc: "all of a pool but one",
		doc:   "server connections of a pool that clients in mode auto may keep for state that cannot follow them",
		parse: whole(func(o *options) *int { return &o.broker.maxPinned }, 1, 100_000),
	},
	{
		group: brokerGroup, flag: "transaction-state", env: "DERMAGA_TRANSACTION_STATE", def: "clean",
		doc:   "what becomes of session state that would outlive a transaction in modes transaction and statement: clean ends it with the transaction, refuse answers with an error",
		parse: oneOf(func(o *options) *string { return &o.broker.transactionState }, "clean", "refuse"),
	},
	{
		group: brokerGroup, flag: "server-idle-timeout", env: "DERMAGA_SERVER_IDLE_TIMEOUT", def: "10m",
		doc:   "time after which a server connection that nobody uses is closed",
		parse: duration(func(o *options) *time.Duration { return &o.broker.serverIdle }),
	},
	{
		group: brokerGroup, flag: "server-lifetime", env: "DERMAGA_SERVER_LIFETIME", def: "1h",
		doc:   "age at which a server connection is closed when it is next free",
		parse: duration(func(o *options) *time.Duration { return &o.broker.serverLifetime }),
	},
	{
		group: brokerGroup, flag: "server-connect-timeout", env: "DERMAGA_SERVER_CONNECT_TIMEOUT", def: "15s",
		doc:   "longest time for reaching a server and logging in",
		parse: duration(func(o *options) *time.Duration { return &o.broker.serverConnect }),
	},
	{
		group: brokerGroup, flag: "server-check-delay", env: "DERMAGA_SERVER_CHECK_DELAY", def: "30s",
		doc:   "a server connection that was idle for longer is asked whether it lives before a client gets it; off: never",
		parse: durationOrOff(func(o *options) *time.Duration { return &o.broker.serverCheck }),
	},
	{
		group: brokerGroup, flag: "cancel-wait-timeout", env: "DERMAGA_CANCEL_WAIT_TIMEOUT", def: "10s",
		doc:   "longest time that passing a cancel request on to a server may take",
		parse: duration(func(o *options) *time.Duration { return &o.broker.cancelWait }),
	},
	{
		group: brokerGroup, flag: "server-login-retry", env: "DERMAGA_SERVER_LOGIN_RETRY", def: "15s",
		doc:   "pause after a server refused a login for good (no such database, wrong password) before it is asked again",
		parse: duration(func(o *options) *time.Duration { return &o.broker.loginRetry }),
	},
	{
		group: brokerGroup, flag: "tcp-user-timeout", env: "DERMAGA_TCP_USER_TIMEOUT", def: "5m",
		doc:   "time after which a connection is closed whose other end does not acknowledge what was sent",
		parse: duration(func(o *options) *time.Duration { return &o.broker.tcpUser }),
	},
	{
		group: brokerGroup, flag: "suspend-grace", env: "DERMAGA_SUSPEND_GRACE", def: "10s",
		doc:   "longest time that a running transaction gets when its login is taken away; of a suspended tenant PostgreSQL ends it sooner, after a second",
		parse: duration(func(o *options) *time.Duration { return &o.broker.suspendGrace }),
	},
	{
		group: brokerGroup, flag: "provision-wait-timeout", env: "DERMAGA_PROVISION_WAIT_TIMEOUT", def: "5s",
		doc:   "longest wait of a login for a tenant that is being made",
		parse: duration(func(o *options) *time.Duration { return &o.broker.provisionWait }),
	},
	{
		group: brokerGroup, flag: "migration-wait-timeout", env: "DERMAGA_MIGRATION_WAIT_TIMEOUT", def: "30s",
		doc:   "longest wait of a login or a new transaction for a tenant that is being migrated",
		parse: duration(func(o *options) *time.Duration { return &o.broker.migrationWait }),
	},
	{
		group: brokerGroup, flag: "client-login-timeout", env: "DERMAGA_CLIENT_LOGIN_TIMEOUT", def: "15s",
		doc:   "longest time from a client's connection to its accepted password",
		parse: duration(func(o *options) *time.Duration { return &o.broker.clientLogin }),
	},
	{
		group: brokerGroup, flag: "tell-settings", env: "DERMAGA_TELL_SETTINGS", def: "false",
		doc:   "tell clients dermaga.version, dermaga.pool_mode and dermaga.tenant at login, as parameters like server_version; a driver may choke on names that it does not know",
		parse: yesNo(func(o *options) *bool { return &o.broker.tellSettings }),
	},
	{
		group: brokerGroup, flag: "drain-timeout", env: "DERMAGA_DRAIN_TIMEOUT", def: "30s",
		doc:   "longest time that running transactions get to finish when the process is told to end; a second signal ends it at once",
		parse: duration(func(o *options) *time.Duration { return &o.broker.drain }),
	},
	{
		group: brokerGroup, flag: "loops", env: "DERMAGA_LOOPS", defDoc: "one for two processors",
		doc:   "event loops that relay; each keeps a thread busy",
		parse: whole(func(o *options) *int { return &o.broker.loops }, 1, 1024),
	},

	{
		group: brokerGroup, flag: "peer-listen", env: "DERMAGA_PEER_LISTEN", def: "127.0.0.1:0",
		doc:   "address at which other instances and the admin API ask this broker; who has not the same ENCRYPTION_KEY is not answered",
		parse: address(func(o *options) *string { return &o.broker.peerListen }),
	},
	{
		group: brokerGroup, flag: "peer-advertise", env: "DERMAGA_PEER_ADVERTISE", defDoc: "the address of --peer-listen",
		doc:   "HOST:PORT at which the others reach --peer-listen",
		parse: address(func(o *options) *string { return &o.broker.peerAdvertise }),
	},

	{
		group: adminGroup, flag: "admin-listen", env: "DERMAGA_ADMIN_LISTEN", def: "127.0.0.1:6433",
		doc:   "address of the admin API, /health, /ready and /metrics",
		parse: address(func(o *options) *string { return &o.admin.listen }),
	},
	{
		group: adminGroup, flag: "admin-public", env: "DERMAGA_ADMIN_PUBLIC", def: "false",
		doc:   "allow an admin address that is not loopback: passwords of new tenants cross the network in clear, so put TLS in front; /metrics then needs a token as well",
		parse: yesNo(func(o *options) *bool { return &o.admin.public }),
	},

	{
		group: logGroup, flag: "log-level", env: "DERMAGA_LOG_LEVEL", def: "info",
		doc:   "least severe line that is written: debug, info, warn or error",
		parse: level(func(o *options) *slog.Level { return &o.log.level }),
	},
	{
		group: logGroup, flag: "log-format", env: "DERMAGA_LOG_FORMAT", def: "text",
		doc:   "text or json; to standard error",
		parse: oneOf(func(o *options) *string { return &o.log.format }, "text", "json"),
	},

	{
		group: dataGroup, flag: "data", env: "DERMAGA_DATA", defDoc: "/var/lib/dermaga for root, else $XDG_DATA_HOME/dermaga or ~/.local/share/dermaga",
		doc:   "folder of dermaga dev: its PostgreSQL, key, certificate and passwords; the other commands read there where the admin API is",
		parse: text("DIR", func(o *options) *string { return &o.dataDir }),
	},

	{
		group: devGroup, flag: "postgres-bin", env: "DERMAGA_POSTGRES_BIN", defDoc: "PATH, /usr/lib/postgresql/*/bin, else a download",
		doc:   "folder of the PostgreSQL programs to start",
		parse: text("DIR", func(o *options) *string { return &o.dev.postgresBin }),
	},
	{
		group: devGroup, flag: "server-url", env: "DERMAGA_SERVER_URL", secret: true,
		doc:   "superuser URL of a PostgreSQL that runs already, to use instead of a private one",
		parse: postgresURL(func(o *options) *registry.Secret { return &o.dev.serverURL }),
	},
	{
		group: devGroup, flag: "info", env: "DERMAGA_INFO",
		doc:   "file to write when everything is ready: JSON with the addresses, the admin token and the tenants' URLs, readable by its owner only",
		parse: text("FILE", func(o *options) *string { return &o.dev.info }),
	},

	{
		group: clientGroup, flag: "admin-url", env: "DERMAGA_ADMIN_URL", defDoc: "what dermaga dev wrote into its data folder",
		doc:   "URL of the admin API",
		parse: webURL(func(o *options) *string { return &o.client.url }),
	},
	{
		group: clientGroup, flag: "token", env: "DERMAGA_TOKEN", secret: true, defDoc: "what dermaga dev wrote into its data folder",
		doc:   "token for the admin API; as a flag it shows in the process list",
		parse: text("TOKEN", func(o *options) *string { return (*string)(&o.client.token) }),
	},
}

type registryOptions struct {
	url                             registry.Secret
	keys                            *registry.Keys
	cacheSize                       int
	cacheTTL, negativeTTL, staleMax time.Duration
}

type tenantsOptions struct {
	url    registry.Secret
	host   string // "": that of url
	port   int    // 0: that of url
	prefix string
}

type partsOptions struct {
	noAdmin, noBroker bool
}

type brokerOptions struct {
	listen, advertise              string
	peerListen, peerAdvertise      string
	tlsCert, tlsKey                string
	requireTLS                     bool
	poolMode                       string
	maxConnections, maxClients     int
	queueLength                    int // 0: no limit
	preparedStatements             int // of a server connection
	connectionTTL                  time.Duration
	queryWait                      time.Duration
	serverIdle, serverLifetime     time.Duration
	waitNotify                     time.Duration // below zero, here and below: off
	query, transaction, clientIdle time.Duration
	idleTransaction, pinIdle       time.Duration
	maxPinned                      int // 0: all of a pool but one
	transactionState               string
	tellSettings                   bool
	serverCheck, cancelWait        time.Duration
	serverConnect                  time.Duration
	clientLogin, drain             time.Duration
	loginRetry, tcpUser            time.Duration
	suspendGrace                   time.Duration
	provisionWait, migrationWait   time.Duration
	loops                          int // 0: the broker decides
}

type adminOptions struct {
	listen string
	public bool
}

type logOptions struct {
	level  slog.Level
	format string
}

type devOptions struct {
	postgresBin string
	serverURL   registry.Secret
	info        string
}

type clientOptions struct {
	url   string
	token registry.Secret
}
