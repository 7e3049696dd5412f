package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	endVerifiersSQL = `
UPDATE dermaga.login_verifiers SET valid_until = now() + $2::bigint * interval '1 microsecond'
WHERE login_id = $1::text::uuid AND (valid_until IS NULL OR valid_until > now() + $2::bigint * interval '1 microsecond')`
	addVerifierSQL = `
INSERT INTO dermaga.login_verifiers (login_id, generation, verifier)
SELECT $1::text::uuid, coalesce(max(generation), 0) + 1, $2 FROM dermaga.login_verifiers WHERE login_id = $1::text::uuid`
	sweepVerifiersSQL = `DELETE FROM dermaga.login_verifiers WHERE login_id = $1::text::uuid AND valid_until <= now()`
	// lockLoginSQL makes those who change one login take turns.
	lockLoginSQL  = `SELECT FROM dermaga.logins WHERE id = $1::text::uuid FOR UPDATE`
	firstLoginSQL = `
SELECT id::text FROM dermaga.logins
WHERE tenant_id = $1::text::uuid AND $2 IN ('', name)
ORDER BY created_at, id LIMIT 1`
	disableLoginSQL = `
UPDATE dermaga.logins SET disabled_at = CASE WHEN $2 THEN now() END
WHERE id = $1::text::uuid AND (disabled_at IS NOT NULL) <> $2`
	expireLoginSQL = `
UPDATE dermaga.logins SET expires_at = $2 WHERE id = $1::text::uuid AND expires_at IS DISTINCT FROM $2`
	deleteLoginSQL = `DELETE FROM dermaga.logins WHERE id = $1::text::uuid RETURNING NULL`
)

// CreateLogin makes a login and returns its password, which is seen only here:
// "" if n brings a verifier. A name that exists is ErrConflict, one that the
// other sort has (tenant's or service's) ErrLoginTaken.
func (r *Registry) CreateLogin(ctx context.Context, n NewLogin) (Login, Secret, error) {
	n = n.withDefaults()
	if err := n.validate(); err != nil {
		return Login{}, "", err
	}
	var password Secret
	if n.Verifier == "" {
		var err error
		if password, n.Verifier, err = newPassword(); err != nil {
			return Login{}, "", err
		}
	}
	var l Login
	err := r.inTx(ctx, fmt.Sprintf("create login %q", n.Name), func(tx pgx.Tx) error {
		id, err := addLogin(ctx, tx, n)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, addVerifierSQL, id, n.Verifier); err != nil {
			return err
		}
		if l, err = login(ctx, tx, id); err != nil {
			return err
		}
		return record(ctx, tx, Activity{
			TenantID: n.TenantID, Actor: n.Actor, Action: "login.create", Message: n.summary(),
		})
	})
	if err != nil {
		return Login{}, "", err
	}
	return l, password, nil
}

func newPassword() (password Secret, verifier string, err error) {
	password = NewPassword()
	verifier, err = NewVerifier(password)
	return password, verifier, err
}

// setVerifier makes a verifier a login's newest; those before stay valid for
// overlap, and those that have ended are swept away.
func setVerifier(ctx context.Context, tx pgx.Tx, loginID, verifier string, overlap time.Duration) error {
	if _, err := tx.Exec(ctx, endVerifiersSQL, loginID, overlap.Microseconds()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, addVerifierSQL, loginID, verifier); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, sweepVerifiersSQL, loginID)
	return err
}

// RotateLogin gives a login a new password; the ones before work for overlap
// longer (0: not at all).
func (r *Registry) RotateLogin(ctx context.Context, loginID string, overlap time.Duration, act Act) (Login, Secret, error) {
	if overlap < 0 {
		return Login{}, "", fmt.Errorf("%w: overlap %v: it must be positive", ErrInvalid, overlap)
	}
	password, verifier, err := newPassword()
	if err != nil {
		return Login{}, "", err
	}
	l, err := r.changeLogin(ctx, loginID, "rotate", act, func(tx pgx.Tx) (string, error) {
		what := "passwords before end now"
		if overlap > 0 {
			what = fmt.Sprintf("passwords before end in %v", overlap)
			before, err := login(ctx, tx, loginID)
			if err != nil {
				return "", err
			}
			if len(before.Verifiers) > 0 {
				if verifier, err = verifierBeside(before.Verifiers[0], password); err != nil {
					return "", err
				}
			}
		}
		return what, setVerifier(ctx, tx, loginID, verifier, overlap)
	})
	if err != nil {
		return Login{}, "", err
	}
	return l, password, nil
}

// ResetPassword gives a tenant's login (name "": its first, made with it) a new
// password; the ones before end at once.
func (r *Registry) ResetPassword(ctx context.Context, tenantID, name string, act Act) (Login, Secret, error) {
	var id string
	if err := r.pool.QueryRow(ctx, firstLoginSQL, tenantID, name).Scan(&id); err != nil {
		return Login{}, "", explain("reset password", err)
	}
	return r.RotateLogin(ctx, id, 0, act)
}

// SetLoginDisabled refuses or admits a login. Look-ups know it no longer while it
// is disabled. Nothing is written if it is so already.
func (r *Registry) SetLoginDisabled(ctx context.Context, loginID string, disabled bool, act Act) (Login, error) {
	verb := map[bool]string{true: "disable", false: "enable"}[disabled]
	return r.changeLogin(ctx, loginID, verb, act, func(tx pgx.Tx) (string, error) {
		return "", changedOne(tx.Exec(ctx, disableLoginSQL, loginID, disabled))
	})
}

// SetLoginExpiry ends a login at a time; the zero time: never. Nothing is written
// if it is so already.
func (r *Registry) SetLoginExpiry(ctx context.Context, loginID string, at time.Time, act Act) (Login, error) {
	what := "never"
	if !at.IsZero() {
		what = "at " + at.UTC().Format(time.RFC3339)
	}
	return r.changeLogin(ctx, loginID, "expire", act, func(tx pgx.Tx) (string, error) {
		return what, changedOne(tx.Exec(ctx, expireLoginSQL, loginID, notZero(at)))
	})
}

// DeleteLogin removes a login with its verifiers and grants.
func (r *Registry) DeleteLogin(ctx context.Context, loginID string, act Act) error {
	return r.inTx(ctx, "delete login", func(tx pgx.Tx) error {
		l, err := login(ctx, tx, loginID)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, deleteLoginSQL, loginID).Scan(nil); err != nil {
			return err // somebody else was faster: no rows
		}
		return record(ctx, tx, loginActivity(l, "delete", "", act))
	})
}

// errSame ends a change that would change nothing.
var errSame = errors.New("nothing to change")

// changeLogin lets change do its work on a login that nobody else changes
// meanwhile, and records it: verb, and what change returned. If that returns
// errSame, the login is as it should be.
func (r *Registry) changeLogin(ctx context.Context, id, verb string, act Act, change func(pgx.Tx) (string, error)) (Login, error) {
	var l Login
	err := r.inTx(ctx, verb+" login", func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, lockLoginSQL, id).Scan(); err != nil {
			return err
		}
		what, changeErr := change(tx)
		if changeErr != nil && !errors.Is(changeErr, errSame) {
			return changeErr
		}
		var err error
		if l, err = login(ctx, tx, id); err != nil || changeErr != nil {
			return err
		}
		return record(ctx, tx, loginActivity(l, verb, what, act))
	})
	return l, err
}

func loginActivity(l Login, verb, what string, act Act) Activity {
	message := l.Name
	for _, more := range []string{what, act.Message} {
		if more != "" {
			message += ", " + more
		}
	}
	return Activity{TenantID: l.TenantID, Actor: act.Actor, Action: "login." + verb, Message: message}
}
