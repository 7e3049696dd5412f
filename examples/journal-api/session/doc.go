// Package session knows who may log in, checks their passwords, and makes and
// checks the tokens that they carry afterwards.
//
// The users' passwords are in a file of this service, one PBKDF2 hash each, not
// in the tenants' databases: whoever may read a tenant's data cannot read them,
// and one person has one password for several companies. What a user may do
// inside a company is that company's own matter, in its table of users.
//
// The order to read the files in: password.go, users.go (the file), token.go.
package session
