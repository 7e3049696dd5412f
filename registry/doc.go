// Package registry keeps who the tenants are and where they live.
package registry
