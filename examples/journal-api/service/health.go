package service

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

type health struct {
	Status string `json:"status" enum:"ok"`
}

// addHealth says that the process lives. It asks no database: whether a company's
// can be reached is that company's matter, not a balancer's.
func addHealth(ops huma.API) {
	huma.Register(ops, huma.Operation{
		Method: http.MethodGet, Path: "/health", OperationID: "health", Summary: "Whether the process lives",
		Security: []map[string][]string{},
	}, func(context.Context, *struct{}) (*reply[health], error) {
		return &reply[health]{health{"ok"}}, nil
	})
}
