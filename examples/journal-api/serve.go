package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/nusajournal/dermaga/examples/journal-api/service"
	"github.com/nusajournal/dermaga/examples/journal-api/session"
	"github.com/nusajournal/dermaga/tenancy"
)

// Environment variables.
const (
	brokerURL  = "JOURNAL_BROKER_URL"
	sessionKey = "JOURNAL_SESSION_KEY"
)

// Time-outs of the HTTP server.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 30 * time.Second
)

func serve(ctx context.Context, args []string, errs io.Writer) (err error) {
	flags := flag.NewFlagSet("journal-api serve", flag.ContinueOnError)
	flags.SetOutput(errs)
	listen := flags.String("listen", "127.0.0.1:8080", "address to serve at; one that others can reach needs TLS in front")
	path := flags.String("users", "users.json", "the file of users")
	maxTenants := flags.Int("max-tenants", 50, "companies whose connections are kept open")
	asJSON := flags.Bool("log-json", false, "write the log as JSON")
	if err := flags.Parse(args); err != nil {
		return quiet(err)
	}
	log := slog.New(slog.NewTextHandler(errs, nil))
	if *asJSON {
		log = slog.New(slog.NewJSONHandler(errs, nil))
	}

	users, err := readUsers(*path)
	if err != nil {
		return err
	}
	key, err := keyOfSessions(log)
	if err != nil {
		return err
	}
	tokens, err := session.NewTokens(key, users)
	if err != nil {
		return fmt.Errorf("%s: %w", sessionKey, err)
	}
	clients, err := tenancy.Open(tenancy.Config{URL: os.Getenv(brokerURL), MaxTenants: *maxTenants})
	if err != nil {
		return fmt.Errorf("%s: %w", brokerURL, err)
	}
	defer func() { err = errors.Join(err, clients.Close(context.WithoutCancel(ctx))) }()

	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: service.Handler(service.Config{
			Tenants: clients, Users: users, Tokens: tokens, SecureCookie: !loopback(*listen),
			Version: "0.1.0", Log: log,
		}),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	log.Info("serving", "address", "http://"+ln.Addr().String())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = server.Shutdown(drain)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests did not end: %w", err), server.Close())
	}
	if closed := <-ended; !errors.Is(closed, http.ErrServerClosed) {
		err = errors.Join(err, closed)
	}
	return err
}

func readUsers(path string) (*session.Users, error) {
	list, err := session.ReadUsers(path)
	if err != nil {
		return nil, err
	}
	users, err := session.NewUsers(list)
	if err != nil {
		return nil, fmt.Errorf("users in %s: %w", path, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("nobody could log in: put a user into %s with journal-api user", path)
	}
	return users, nil
}

func keyOfSessions(log *slog.Logger) ([]byte, error) {
	text := os.Getenv(sessionKey)
	if text == "" {
		log.Warn("no_session_key", "consequence", "sessions end with this process; set "+sessionKey)
		key := make([]byte, 32)
		_, err := rand.Read(key)
		return key, err
	}
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not hexadecimal", sessionKey) // the error would quote a part of it
	}
	return key, nil
}

// loopback reports whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
