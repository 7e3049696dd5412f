package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A Role says what a user may do in one company's books.
type Role string

// Each may what the ones before it may.
const (
	Viewer     Role = "VIEWER"     // reads
	Staff      Role = "STAFF"      // drafts entries
	Accountant Role = "ACCOUNTANT" // posts and reverses them, closes periods
	Owner      Role = "OWNER"
)

var rank = map[Role]int{Viewer: 1, Staff: 2, Accountant: 3, Owner: 4}

// A User is a row of the company's own table of users.
type User struct {
	ID    string
	Email string
	Name  string
	Role  Role
}

// May reports whether the user may what needs at least role.
func (u User) May(role Role) bool { return rank[u.Role] >= rank[role] }

// FindUser returns the user of that address, unless they are disabled: then, as
// for nobody, the error is ErrNotFound.
func FindUser(ctx context.Context, pool *pgxpool.Pool, email string) (User, error) {
	const find = `SELECT id::text, email, name, role FROM users WHERE lower(email) = lower($1) AND disabled_at IS NULL`
	rows, _ := pool.Query(ctx, find, email) // its error comes out of the rows
	u, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[User])
	if errors.Is(err, pgx.ErrNoRows) {
		return User{}, notFound("user %s", email)
	}
	return u, err
}

// PutUser adds a user, or gives one name and role and enables them.
func PutUser(ctx context.Context, pool *pgxpool.Pool, u User) error {
	if rank[u.Role] == 0 {
		return refuse("role %q is none of VIEWER, STAFF, ACCOUNTANT, OWNER", u.Role)
	}
	const put = `INSERT INTO users (email, name, role) VALUES (lower($1), $2, $3)
		ON CONFLICT (lower(email)) DO UPDATE SET name = excluded.name, role = excluded.role, disabled_at = NULL`
	_, err := pool.Exec(ctx, put, u.Email, u.Name, u.Role)
	return err
}
