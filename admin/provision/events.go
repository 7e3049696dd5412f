package provision

// The events and keys of the package's log, stable like those of the activities.
const (
	eventMade      = "tenant_provisioned"
	eventGivenUp   = "tenant_not_provisioned" // its activities tell the rest
	eventUnlimited = "temp_files_unlimited"   // the admin role may not limit them

	keyTenant   = "tenant" // slug
	keyDatabase = "database"
	keyServer   = "server"
	keyStep     = "step"
	keyError    = "error"
	keyUndo     = "undo"
	keyAdvice   = "advice"
)
