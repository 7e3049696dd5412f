package admin

// Every line of the API's log is one of these events, as the message, with some
// of the keys below. They are stable: alerts are built on them.
const (
	eventRefused   = "admin_request_failed" // what only an operator can mend
	eventNotReady  = "admin_not_ready"
	eventFence     = "tenant_fence_failed" // a server could not be told who may enter a database
	eventUnwritten = "activity_not_recorded"
	eventKey       = "idempotency_key_error" // its answer could not be kept, or it could not be given free
	eventNotWaited = "brokers_not_waited_for"
	eventNotTold   = "instance_not_disconnected"
)

const (
	keyOperation = "operation"
	keyTenant    = "tenant" // slug
	keyServer    = "server"
	keyInstance  = "instance"
	keyAction    = "action" // of an activity
	keyError     = "error"
)
