package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/nusajournal/dermaga/registry"
)

// maxAnswer bounds what is read of an answer: 10,000 tenants are 4 MB.
const maxAnswer = 64 << 20

// A Client speaks to one admin API. Safe for concurrent use.
type Client struct {
	base  string
	token registry.Secret
	http  *http.Client
}

// New returns a client of the API at base, such as http://127.0.0.1:6433. Without a
// token it may ask what Ready does. How long a call may take is its context's to say.
func New(base string, token registry.Secret) *Client {
	return &Client{base: strings.TrimSuffix(base, "/"), token: token, http: &http.Client{}}
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call sends in, nil for nothing, and reads the answer into out, nil for none.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.keyed(ctx, method, path, "", in, out)
}

// keyed is like call, with an Idempotency-Key unless it is "".
func (c *Client) keyed(ctx context.Context, method, path, key string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("admin API address: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	req.Header.Set("Accept", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("admin API does not answer: %w", err)
	}
	defer resp.Body.Close()
	return read(resp, out)
}

func read(resp *http.Response, out any) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the admin API's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return refusal(resp, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("admin API answered %s with something else than its JSON: %w", resp.Status, err)
	}
	return nil
}

// refusal makes a Problem of any answer that is not a success: something in
// between may have given it.
func refusal(resp *http.Response, body []byte) error {
	p := &Problem{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "application/problem+json" {
		_ = json.Unmarshal(body, p) // what cannot be read leaves the status
	}
	return p
}

// Error is the detail, or where it only says that there are faults, those.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = fmt.Sprintf("admin API answered %d %s", p.Status, p.Title)
	}
	for _, e := range p.Errors {
		if e.Location != "" { // else the detail has it
			text += "\n  " + e.Location + ": " + e.Message
		}
	}
	return text
}

// StatusOf returns the HTTP status of a refusal in err, 0 if there is none.
func StatusOf(err error) int {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}
