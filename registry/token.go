package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
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
	ExpiresAt *time.Time // nil: never
	RevokedAt *time.Time // nil: it is not
}

// NewToken is what IssueToken needs.
type NewToken struct {
	Name  string
	Role  TokenRole
	TTL   time.Duration // 0: for ever
	Actor string
}

// IssueToken makes a bearer token of the admin API; this is the only time that it
// is seen.
func (r *Registry) IssueToken(ctx context.Context, n NewToken) (Token, Secret, error) {
	return Token{}, "", ErrUnavailable
}

// Tokens returns all tokens by name, expired and revoked ones included.
func (r *Registry) Tokens(ctx context.Context) ([]Token, error) {
	return nil, ErrUnavailable
}

// RevokeToken ends a token at once. One that is revoked already is no error.
func (r *Registry) RevokeToken(ctx context.Context, id string, act Act) error {
	return ErrUnavailable
}

const tokenPrefixLen = 8

const (
	createTokenSQL = `INSERT INTO dermaga.api_tokens (name, prefix, sha256, role) VALUES ($1, $2, $3, $4)`
	tokenSQL       = `SELECT id::text, name, prefix, role, created_at, NULL::timestamptz, NULL::timestamptz FROM dermaga.api_tokens WHERE sha256 = $1`
)

// CreateToken makes a bearer token of the admin API; this is the only time that
// it is seen.
func (r *Registry) CreateToken(ctx context.Context, name string, role TokenRole) (Secret, error) {
	token := NewPassword()
	hash := sha256.Sum256([]byte(token.Reveal()))
	err := r.inTx(ctx, fmt.Sprintf("create token %q", name), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, createTokenSQL, name, token.Reveal()[:tokenPrefixLen], hash[:], string(role)); err != nil {
			return err
		}
		return record(ctx, tx, Activity{Action: "token.create", Message: fmt.Sprintf("%s, %s", name, role)})
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// TokenRole returns what a presented token may do, or ErrNotFound. Only hashes
// are compared: how long that takes says nothing about a token.
func (r *Registry) TokenRole(ctx context.Context, token Secret) (Token, error) {
	hash := sha256.Sum256([]byte(token.Reveal()))
	rows, err := r.pool.Query(ctx, tokenSQL, hash[:])
	if err != nil {
		return Token{}, explain("token", err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Token])
	return t, explain("token", err)
}
