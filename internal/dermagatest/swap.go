package dermagatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// Swap returns an address that leads to the broker at broker, until t ends, without
// TLS. The database of a startup message is exchanged for what swaps says, as a bug
// in a cache of routes or pools would: a test shows by it that it can fail.
func Swap(t *testing.T, broker string, swaps map[string]string) (address string) {
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
				if err := travel(ctx, client, broker, swaps); err != nil {
					t.Log("swap:", err)
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

// travel carries one connection both ways until either end closes it, or ctx ends.
func travel(ctx context.Context, client net.Conn, broker string, swaps map[string]string) error {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()
	first, err := pgproto3.NewBackend(client, client).ReceiveStartupMessage()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the startup message: %w", err)
	}
	// A cancel request goes as it is.
	if startup, ok := first.(*pgproto3.StartupMessage); ok {
		if to, ok := swaps[startup.Parameters["database"]]; ok {
			startup.Parameters["database"] = to
		}
	}
	text, err := first.Encode(nil)
	if err != nil {
		return err
	}
	server, err := net.DialTimeout("tcp", broker, 10*time.Second)
	if err != nil {
		return err
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if _, err := server.Write(text); err != nil {
		return err
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, server) // either end may go first
		client.Close()
	})
	_, _ = io.Copy(server, client)
	server.Close()
	answers.Wait()
	return nil
}
