package tenancy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nusajournal/dermaga/tenancy"
)

// A service at /:tenantSlug/accounts, each company's own.
func Example() {
	clients, err := tenancy.Open(tenancy.Config{URL: os.Getenv("DERMAGA_URL")}) // postgresql://journal-api:…@dermaga:6432/?sslmode=require
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) {
		t := tenancy.FromContext(r.Context())
		rows, err := t.Pool().Query(r.Context(), "select code from accounts order by code")
		if err != nil {
			tenancy.WriteError(w, r, err)
			return
		}
		codes, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			tenancy.WriteError(w, r, err)
			return
		}
		_ = json.NewEncoder(w).Encode(codes)
	})
	withTenant := clients.Middleware(tenancy.StripPrefix(), tenancy.Skip("/metrics"))
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: withTenant(mux)}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		defer stop()
		log.Print(server.ListenAndServe())
	}()
	<-ctx.Done()
	bounded, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = server.Shutdown(bounded) // the requests first,
	_ = clients.Close(bounded)   // then their connections
}

// A job outside of any request gets its tenants by itself.
func ExampleClients_Get() {
	clients, err := tenancy.Open(tenancy.Config{URL: os.Getenv("DERMAGA_URL"), MaxTenants: 10})
	if err != nil {
		log.Fatal(err)
	}
	closePeriod := func(ctx context.Context, slug string) error {
		t, err := clients.Get(ctx, slug)
		if err != nil {
			return err
		}
		defer t.Release()
		_, err = t.Pool().Exec(ctx, "update periods set status = 'CLOSED' where name = $1", "2026-10")
		return err
	}
	if err := closePeriod(context.Background(), "pt-media-nusa"); err != nil {
		log.Print(err)
	}
}

// The same connections for what wants a *sql.DB: sqlc, sqlx, bun, gorm.
func ExampleTenant_DB() {
	accounts := func(w http.ResponseWriter, r *http.Request) {
		db := tenancy.FromContext(r.Context()).DB()
		var n int
		if err := db.QueryRowContext(r.Context(), "select count(*) from accounts").Scan(&n); err != nil {
			tenancy.WriteError(w, r, err)
			return
		}
		fmt.Fprintln(w, n)
	}
	http.HandleFunc("GET /accounts/count", accounts)
}

// Companies at pt-media-nusa.example.com, with a log of the service's own.
func ExampleFromHost() {
	clients, err := tenancy.Open(tenancy.Config{URL: "postgresql://journal-api:secret@dermaga:6432/?sslmode=require"})
	if err != nil {
		log.Fatal(err)
	}
	withTenant := clients.Middleware(
		tenancy.FromHost("example.com"),
		tenancy.Skip("GET /{$}", "/static/"),
		tenancy.OnError(func(w http.ResponseWriter, r *http.Request, p *tenancy.Problem) {
			fmt.Println(r.Host, p.Status, errors.Unwrap(p))
			p.ServeHTTP(w, r)
		}),
	)
	w := httptest.NewRecorder()
	withTenant(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://pt--nusa.example.com/accounts", nil))
	// Output: pt--nusa.example.com 404 not a slug: slug "pt--nusa" has --: two hyphens may not follow each other
}

// A query fails since its tenant has been suspended meanwhile.
func ExampleWriteError() {
	err := fmt.Errorf("read accounts: %w", &pgconn.PgError{Code: "57P01", Routine: "tenant_suspended"})
	w := httptest.NewRecorder()
	tenancy.WriteError(w, httptest.NewRequest(http.MethodGet, "/pt-media-nusa/accounts", nil), err)
	fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Body)
	// Output: 423 application/problem+json {"title":"Tenant suspended","status":423}
}

// Which tenants this process is connected to, as the first version's getStats.
func ExampleClients_Stats() {
	clients, err := tenancy.Open(tenancy.Config{URL: "postgresql://journal-api:secret@dermaga:6432/"})
	if err != nil {
		log.Fatal(err)
	}
	stats, _ := json.Marshal(clients.Stats())
	fmt.Println(string(stats))
	// Output: {"activeConnections":0,"maxConnections":50,"tenants":[]}
}

// What a client of the service is told when it names no tenant.
func ExampleClients_Middleware() {
	clients, err := tenancy.Open(tenancy.Config{URL: "postgresql://journal-api:secret@dermaga:6432/"})
	if err != nil {
		log.Fatal(err)
	}
	h := clients.Middleware()(http.NotFoundHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/PT%20Media/accounts", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 404 {"title":"Tenant not found","status":404,"detail":"The name is not that of a tenant."}
}
