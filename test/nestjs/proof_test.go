package nestjs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// at is the application's URL with another address of a broker.
func at(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(dev.url)
	require.NoError(t, err)
	u.Host = address
	return u.String()
}

// The broker that is stopped is a second one over the same registry.
func TestCheckFailsWhenTheBrokerIsStopped(t *testing.T) {
	key, err := os.ReadFile(filepath.Join(dev.Dir, "data/encryption.key"))
	require.NoError(t, err)
	p, err := dermagatest.Start(dev.Binary, []string{
		"REGISTRY_DATABASE_URL=" + dev.Info.RegistryURL, "ENCRYPTION_KEY=" + strings.TrimSpace(string(key)),
	}, "serve", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said, err := p.Log.Await(ctx, "serving", nil)
	require.NoError(t, err, p.Log.String())

	a := start(t, at(t, said.Text("broker")))
	require.NoError(t, a.check(t.Context()))
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(ctx))
	require.ErrorContains(t, a.check(t.Context()), "status 503, want 200")
}

func TestCheckFailsWhenTwoSlugsAreSwapped(t *testing.T) {
	one, other := dev.tenants[0].slug, dev.tenants[1].slug
	straight := newRoad(t, map[string]string{})
	require.NoError(t, start(t, at(t, straight)).check(t.Context()), "by the same road, not swapped")

	crossed := newRoad(t, map[string]string{one: other, other: one})
	err := start(t, at(t, crossed)).check(t.Context())
	require.ErrorContains(t, err, "has the row")
	require.ErrorContains(t, err, "does not have the row")
}

// newRoad returns an address that leads to the broker, where the database of a
// startup message is exchanged for what swaps says.
func newRoad(t *testing.T, swaps map[string]string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var travellers sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	travellers.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return // the test has ended
			}
			travellers.Go(func() {
				if err := travel(ctx, client, swaps); err != nil {
					t.Log("road:", err)
				}
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		require.NoError(t, ln.Close())
		travellers.Wait()
	})
	return ln.Addr().String()
}

// travel carries one connection both ways until either end closes it.
func travel(ctx context.Context, client net.Conn, swaps map[string]string) error {
	defer client.Close()
	first, err := pgproto3.NewBackend(client, client).ReceiveStartupMessage()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	startup, ok := first.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return fmt.Errorf("want a startup message, got %T: %w", first, err)
	}
	if to, ok := swaps[startup.Parameters["database"]]; ok {
		startup.Parameters["database"] = to
	}
	text, err := startup.Encode(nil)
	if err != nil {
		return err
	}
	server, err := net.DialTimeout("tcp", dev.Info.Broker, 10*time.Second)
	if err != nil {
		return err
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	if _, err := server.Write(text); err != nil {
		return err
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, server) // either end may go first
		_ = client.Close()
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	answers.Wait()
	return nil
}
