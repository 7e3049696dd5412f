// Package migrations holds the schema files of the registry and of tenants.
package migrations
