package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/nusajournal/dermaga/registry"
)

// A Client asks instances, each by its peer address. Safe for concurrent use.
type Client struct {
	http      *http.Client
	transport *http.Transport
}

const (
	connectTimeout = time.Second
	maxAnswer      = 64 << 20 // bytes: figures of 100,000 tenants
)

// NewClient makes a client that has the same key as those whom it asks.
func NewClient(keys *registry.Keys) (*Client, error) {
	cfg, err := mutual(keys)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:     cfg,
		TLSHandshakeTimeout: connectTimeout,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     idleTimeout / 2,
	}
	return &Client{http: &http.Client{Transport: t}, transport: t}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Stats returns the figures of the instance at address. How long to wait for it
// is for ctx to say: an instance that hangs does not answer.
func (c *Client) Stats(ctx context.Context, address string) (Stats, error) {
	return ask[Stats](ctx, c, address, statsPath, struct{}{})
}

// Disconnect ends clients of the instance at address and returns when they have
// gone, which takes d.Grace at most.
func (c *Client) Disconnect(ctx context.Context, address string, d Disconnect) (Disconnected, error) {
	return ask[Disconnected](ctx, c, address, disconnectPath, d)
}

// Cancel passes a cancel request to the instance that issued its key.
func (c *Client) Cancel(ctx context.Context, address string, k Cancel) (Cancelled, error) {
	return ask[Cancelled](ctx, c, address, cancelPath, k)
}

func ask[T any](ctx context.Context, c *Client, address, path string, body any) (out T, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return out, fmt.Errorf("ask peer: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+path, bytes.NewReader(text))
	if err != nil {
		return out, fmt.Errorf("ask peer: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return out, fmt.Errorf("ask peer: %w", err)
	}
	defer res.Body.Close()
	answer := json.NewDecoder(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode != http.StatusOK {
		var f fault
		if answer.Decode(&f) != nil {
			f.Error = res.Status
		}
		return out, fmt.Errorf("peer %s: %w", address, errors.New(f.Error))
	}
	if err := answer.Decode(&out); err != nil {
		return out, fmt.Errorf("peer %s: %w", address, err)
	}
	return out, nil
}
