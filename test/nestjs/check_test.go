package nestjs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// askLimit bounds a request: an application that hangs fails its own test.
const askLimit = 30 * time.Second

// An answer of the application.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request, with body as JSON unless it is nil.
func (a *app) ask(ctx context.Context, method, path string, body any) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, text)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}

// into decodes the answer of a request that must have this status.
func (a *app) into(ctx context.Context, status int, method, path string, body, into any) error {
	got, err := a.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	if got.status != status {
		return fmt.Errorf("%s %s: status %d, want %d: %s", method, path, got.status, status, got.body)
	}
	return json.Unmarshal(got.body, into)
}

type user struct {
	Email string `json:"email"`
	Name  string `json:"name"`
}

// rounds is how often check asks for each tenant, at the same time.
const rounds = 10

// check asks for both tenants' users at once, again and again, and wants to see
// each tenant's own and nobody else's. It returns
// what is wrong, so that a test can ask whether it notices.
func (a *app) check(ctx context.Context) error {
	ask, ctx := errgroup.WithContext(ctx)
	for range rounds {
		for _, tn := range dev.tenants {
			ask.Go(func() error { return a.ownUsersOnly(ctx, tn) })
		}
	}
	return ask.Wait()
}

func (a *app) ownUsersOnly(ctx context.Context, tn tenant) error {
	var users []user
	if err := a.into(ctx, http.StatusOK, http.MethodGet, "/"+tn.slug+"/users", nil, &users); err != nil {
		return err
	}
	var wrong []error
	marked := false
	for _, u := range users {
		marked = marked || u.Email == tn.marker()
		if !strings.HasSuffix(u.Email, "@"+tn.slug) {
			wrong = append(wrong, fmt.Errorf("tenant %s has the row %s", tn.slug, u.Email))
		}
	}
	if !marked {
		wrong = append(wrong, fmt.Errorf("tenant %s does not have the row %s", tn.slug, tn.marker()))
	}
	return errors.Join(wrong...)
}
