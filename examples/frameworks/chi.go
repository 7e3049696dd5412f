package main

import (
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/nusajournal/dermaga/tenancy"
)

// withChi has the middleware in the group of the tenant's routes: chi's middleware
// is net/http's.
func withChi(clients *tenancy.Clients) http.Handler {
	r := chi.NewRouter()
	r.Get("/health", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	r.Route("/{tenantSlug}", func(r chi.Router) {
		r.Use(clients.Middleware())
		r.Get("/accounts", func(w http.ResponseWriter, r *http.Request) {
			codes, err := accounts(r.Context())
			if err != nil {
				tenancy.WriteError(w, r, err)
				return
			}
			answer(w, http.StatusOK, codes)
		})
		r.Post("/contacts", func(w http.ResponseWriter, r *http.Request) {
			var c contact
			err := json.NewDecoder(r.Body).Decode(&c)
			if err != nil {
				tenancy.WriteError(w, r, notJSON(err))
				return
			}
			if c, err = addContact(r.Context(), c); err != nil {
				tenancy.WriteError(w, r, err)
				return
			}
			answer(w, http.StatusCreated, c)
		})
	})
	return r
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone hears nothing
}
