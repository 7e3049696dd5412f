package registry

import (
	"context"
	"time"
)

// TokenRole says what a bearer token may do; each includes the one before.
type TokenRole string

const (
	Viewer   TokenRole = "viewer"
	Operator TokenRole = "operator"
	Admin    TokenRole = "admin"
)

// A Token is what the registry knows of a bearer token: never the token.
type Token struct {
	ID        string
	Name      string
	Prefix    string // its first 8 characters
	Role      TokenRole
	CreatedAt time.Time
}

// CreateToken makes a bearer token of the admin API; this is the only time that
// it is seen.
func (r *Registry) CreateToken(ctx context.Context, name string, role TokenRole) (Secret, error) {
	panic("soon")
}

// TokenRole returns what a presented token may do, or ErrNotFound.
func (r *Registry) TokenRole(ctx context.Context, token Secret) (Token, error) { panic("soon") }
