package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
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

const (
	beginRequestSQL = `
INSERT INTO dermaga.idempotency_keys AS k (token_id, key, request_sha256) VALUES ($1::text::uuid, $2, $3)
ON CONFLICT (token_id, key) DO UPDATE SET request_sha256 = $3, created_at = now(), key_id = NULL, sealed = NULL
WHERE k.created_at < now() - interval '1 day'
  OR k.sealed IS NULL AND k.created_at < now() - interval '10 minutes'`
	requestSQL = `
SELECT request_sha256, coalesce(key_id, ''), sealed FROM dermaga.idempotency_keys
WHERE token_id = $1::text::uuid AND key = $2`
	finishRequestSQL = `
UPDATE dermaga.idempotency_keys SET key_id = $4, sealed = $5
WHERE token_id = $1::text::uuid AND key = $2 AND request_sha256 = $3
RETURNING key`
	abandonRequestSQL = `
DELETE FROM dermaga.idempotency_keys
WHERE token_id = $1::text::uuid AND key = $2 AND request_sha256 = $3 AND sealed IS NULL`
	trimRequestsSQL = `DELETE FROM dermaga.idempotency_keys WHERE created_at < now() - interval '1 day'`
)

// BeginRequest returns what was answered to the same request before, or nil: then
// the caller does it now, and calls FinishRequest or AbandonRequest. Errors:
// ErrKeyReused, ErrKeyBusy, ErrInvalid. One that was begun and never ended (its
// process died) can be begun again after ten minutes.
func (r *Registry) BeginRequest(ctx context.Context, q Request) (*Response, error) {
	const attempt = "begin request"
	tag, err := r.pool.Exec(ctx, beginRequestSQL, q.TokenID, q.Key, q.SHA256[:])
	if err != nil {
		return nil, explain(attempt, err)
	}
	if tag.RowsAffected() == 1 {
		return nil, nil
	}
	var sum, sealed []byte
	var keyID string
	err = r.pool.QueryRow(ctx, requestSQL, q.TokenID, q.Key).Scan(&sum, &keyID, &sealed)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // abandoned just now: its sender may try again
		return nil, fmt.Errorf("%s: %w", attempt, ErrKeyBusy)
	case err != nil:
		return nil, explain(attempt, err)
	case !bytes.Equal(sum, q.SHA256[:]):
		return nil, fmt.Errorf("%s: %w", attempt, ErrKeyReused)
	case sealed == nil:
		return nil, fmt.Errorf("%s: %w", attempt, ErrKeyBusy)
	}
	plain, err := r.keys.Open(keyID, sealed, q.binding())
	if err != nil {
		return nil, fmt.Errorf("%s: its answer: %w", attempt, err)
	}
	var answer Response
	if err := json.Unmarshal([]byte(plain.Reveal()), &answer); err != nil {
		return nil, fmt.Errorf("%s: its answer: %w", attempt, err)
	}
	return &answer, nil
}

// FinishRequest keeps the answer for those who ask again. ErrNotFound: it was not
// begun, or began so long ago that somebody else has taken it over.
func (r *Registry) FinishRequest(ctx context.Context, q Request, answer Response) error {
	plain, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("finish request: %w", err)
	}
	keyID, sealed, err := r.keys.Seal(Secret(plain), q.binding())
	if err != nil {
		return fmt.Errorf("finish request: %w", err)
	}
	var key string
	err = r.pool.QueryRow(ctx, finishRequestSQL, q.TokenID, q.Key, q.SHA256[:], keyID, sealed).Scan(&key)
	return explain("finish request", err)
}

// AbandonRequest forgets a request that failed in a way that may be tried again.
func (r *Registry) AbandonRequest(ctx context.Context, q Request) error {
	_, err := r.pool.Exec(ctx, abandonRequestSQL, q.TokenID, q.Key, q.SHA256[:])
	return explain("abandon request", err)
}

// binding ties an answer to whoever may see it again.
func (q Request) binding() Binding {
	return Binding{TenantID: "token " + q.TokenID, Kind: "response", Role: q.Key}
}
