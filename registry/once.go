package registry

import (
	"context"
	"errors"
)

// A Request is one that its sender may send twice and wants done once.
type Request struct {
	TokenID string   // whose key it is
	Key     string   // as sent in Idempotency-Key, 1 to 255 bytes
	SHA256  [32]byte // of method, path and body: the same key must not mean two things
}

// A Response is what was answered the first time. It is kept sealed, since it
// may hold a password, for a day.
type Response struct {
	Status int
	Header map[string]string
	Body   []byte
}

var (
	// ErrKeyReused: this Idempotency-Key was sent with another request.
	ErrKeyReused = errors.New("idempotency key was used for another request")
	// ErrKeyBusy: the first request with this Idempotency-Key is not done yet.
	ErrKeyBusy = errors.New("the first request with this idempotency key is still under way")
)

// BeginRequest returns what was answered to the same request before, or nil: then
// the caller does it now, and calls FinishRequest or AbandonRequest. Errors:
// ErrKeyReused, ErrKeyBusy, ErrInvalid. One that was begun and never ended (its
// process died) can be begun again after ten minutes.
func (r *Registry) BeginRequest(ctx context.Context, q Request) (*Response, error) {
	return nil, ErrUnavailable
}

// FinishRequest keeps the answer for those who ask again.
func (r *Registry) FinishRequest(ctx context.Context, q Request, answer Response) error {
	return ErrUnavailable
}

// AbandonRequest forgets a request that failed in a way that may be tried again.
func (r *Registry) AbandonRequest(ctx context.Context, q Request) error {
	return ErrUnavailable
}
