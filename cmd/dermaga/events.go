package main

// The events and keys of the process's own log lines; package broker and package
// admin have theirs.
const (
	eventServing     = "serving"
	eventEnded       = "ended"
	eventNoServer    = "no_server" // no tenant can be made
	eventServer      = "server_prepared"
	eventNoSignal    = "server_sessions_stay" // fences cannot end sessions there
	eventOpenToThose = "server_database_open" // to every tenant's role
	eventNotify      = "notify_failed"        // systemd was not told

	keyBroker   = "broker" // address
	keyAdmin    = "admin"  // address
	keyPeer     = "peer"   // address
	keyAdminAPI = "admin_api"
	keyVersion  = "version"
	keyServer   = "server"
	keyHost     = "host"
	keyPort     = "port"
	keyRole     = "role"
	keyDatabase = "database"
	keyAdvice   = "advice"
)
