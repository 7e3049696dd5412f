// Command frameworks serves the same three routes by chi, echo or gin, each with
// the middleware of package tenancy, which is one for net/http:
//
//	GET  /health                    no tenant
//	GET  /{tenantSlug}/accounts     the codes of the accounts
//	POST /{tenantSlug}/contacts     a new customer: {"name": …}
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nusajournal/dermaga/tenancy"
)

func main() {
	framework := flag.String("framework", "chi", "chi, echo or gin")
	listen := flag.String("listen", "127.0.0.1:8080", "address")
	flag.Parse()
	clients, err := tenancy.Open(tenancy.Config{URL: os.Getenv("DERMAGA_URL")}) // a service login's, without a database
	if err != nil {
		log.Fatal(err)
	}
	handler, known := map[string]func(*tenancy.Clients) http.Handler{"chi": withChi, "echo": withEcho, "gin": withGin}[*framework]
	if !known {
		log.Fatalf("there is no -framework %s here", *framework)
	}
	server := &http.Server{Addr: *listen, Handler: handler(clients)}
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
