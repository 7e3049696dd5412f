package peer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/nusajournal/dermaga/registry"
)

// Served is what a broker does for its peers. Its methods are called
// concurrently and return when ctx ends.
type Served interface {
	PeerStats(ctx context.Context) (Stats, error)
	// Disconnect returns when those clients are gone.
	Disconnect(ctx context.Context, d Disconnect) (Disconnected, error)
	// CancelOwn acts on the key of one of the broker's own clients only, so that
	// no request travels on for ever.
	CancelOwn(ctx context.Context, c Cancel) (Cancelled, error)
}

// Bounds of a request.
const (
	maxBody       = 64 << 10 // bytes
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	// farewell is for the answers under way when Serve ends.
	farewell = 2 * time.Second
)

// The requests. All are POST: none may be answered from a cache.
const (
	statsPath      = "/peer/v1/stats"
	disconnectPath = "/peer/v1/disconnect"
	cancelPath     = "/peer/v1/cancel"
)

// Handler answers peers; who may ask is decided by Serve.
func Handler(s Served) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+statsPath, func(w http.ResponseWriter, r *http.Request) {
		stats, err := s.PeerStats(r.Context())
		answer(w, stats, err)
	})
	mux.HandleFunc("POST "+disconnectPath, func(w http.ResponseWriter, r *http.Request) {
		if d, ok := request[Disconnect](w, r); ok {
			done, err := s.Disconnect(r.Context(), d)
			answer(w, done, err)
		}
	})
	mux.HandleFunc("POST "+cancelPath, func(w http.ResponseWriter, r *http.Request) {
		if c, ok := request[Cancel](w, r); ok {
			done, err := s.CancelOwn(r.Context(), c)
			answer(w, done, err)
		}
	})
	return mux
}

func request[T any](w http.ResponseWriter, r *http.Request) (body T, ok bool) {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(fault{err.Error()})
		return body, false
	}
	return body, true
}

func answer(w http.ResponseWriter, body any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		body = fault{err.Error()}
	}
	_ = json.NewEncoder(w).Encode(body)
}

// Serve answers peers that have our key on ln until ctx ends. It closes ln, and
// returns when all answers have been given.
func Serve(ctx context.Context, ln net.Listener, keys *registry.Keys, s Served, log *slog.Logger) error {
	cfg, err := mutual(keys)
	if err != nil {
		_ = ln.Close()
		return err
	}
	server := &http.Server{
		Handler:           Handler(s),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // strangers that knock
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if server.Shutdown(bound) != nil {
			_ = server.Close()
		}
	})
	err = server.Serve(tls.NewListener(ln, cfg))
	if !stop() {
		<-ended
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve peers: %w", err)
	}
	return nil
}
