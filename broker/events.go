package broker

// Every line of the broker's log is one of these events, as the message, with
// some of the keys below. They are stable: alerts are built on them. Debug has
// each client's coming and going; Info what an operator wants to read at night;
// Warn what may need somebody; Error what does.
const (
	eventLogin      = "client_login"   // a client was let in
	eventRefused    = "client_refused" // a client was told why it was not let in
	eventDropped    = "client_dropped" // a connection ended before anybody could be told why
	eventAccept     = "accept_error"
	eventPanic      = "ceremony_panic"
	eventHandOver   = "hand_over_error"
	eventVerifier   = "verifier_unreadable"
	eventCredential = "credential_unusable"
	eventFiles      = "few_descriptors" // fewer than max_client_conn may need
	eventRegistry   = "registry_unavailable"

	eventStatus     = "tenant_status"      // a tenant's clients are held, ended or served again
	eventStatusLate = "tenant_status_late" // statuses could not be asked for
	eventBarred     = "login_ended"        // a login's clients end, since it was taken away

	eventServerRefused = "server_refused"      // a server did not let the broker in
	eventRepaired      = "credential_repaired" // … and does after its password was set again
	eventRepairFailed  = "credential_unrepairable"
	eventShares        = "server_shares_error"

	eventDrain      = "drain_begins"
	eventDrained    = "drain_ends"
	eventDisconnect = "disconnect"      // somebody asked for the end of clients
	eventConsole    = "console_command" // somebody gave the console an order, or a question failed
	eventForeign    = "cancel_foreign"  // a cancel key of another instance
	eventCancels    = "cancel_refused"  // too many wrong keys from one address
)

// Keys of the lines' values.
const (
	keyConn     = "conn"   // id of a client's connection, unique to this process and probably to all
	keyRemote   = "remote" // address of the client
	keyUser     = "user"
	keyDatabase = "database" // as the client calls it: a slug
	keyTenant   = "tenant"   // slug
	keyRole     = "role"     // of the server
	keyServer   = "server"
	keyStatus   = "status"
	keySQLState = "sqlstate"
	keyError    = "error"
	keyClients  = "clients"
	keyMode     = "mode"
	keyTLS      = "tls"
	keyTook     = "took"
	keyCommand  = "command"
	keyInstance = "instance"
	keyHave     = "have"
	keyWant     = "want"
)
