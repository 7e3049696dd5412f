package registry

import (
	"context"
	"time"
)

// CreateLogin makes a login and returns its password, which is seen only here:
// "" if n brings a verifier. A name that exists is ErrConflict, one that the
// other sort has (tenant's or service's) ErrLoginTaken.
func (r *Registry) CreateLogin(ctx context.Context, n NewLogin) (Login, Secret, error) {
	return Login{}, "", ErrUnavailable
}

// RotateLogin gives a login a new password; the ones before work for overlap
// longer (0: not at all).
func (r *Registry) RotateLogin(ctx context.Context, loginID string, overlap time.Duration, act Act) (Login, Secret, error) {
	return Login{}, "", ErrUnavailable
}

// ResetPassword gives a tenant's login (name "": its first, made with it) a new
// password; the ones before end at once.
func (r *Registry) ResetPassword(ctx context.Context, tenantID, name string, act Act) (Login, Secret, error) {
	return Login{}, "", ErrUnavailable
}

// SetLoginDisabled refuses or admits a login. Look-ups know it no longer while it
// is disabled. Nothing is written if it is so already.
func (r *Registry) SetLoginDisabled(ctx context.Context, loginID string, disabled bool, act Act) (Login, error) {
	return Login{}, ErrUnavailable
}

// SetLoginExpiry ends a login at a time; the zero time: never.
func (r *Registry) SetLoginExpiry(ctx context.Context, loginID string, at time.Time, act Act) (Login, error) {
	return Login{}, ErrUnavailable
}

// DeleteLogin removes a login with its verifiers and grants.
func (r *Registry) DeleteLogin(ctx context.Context, loginID string, act Act) error {
	return ErrUnavailable
}
