// Package admin is the operators' side of Dermaga over HTTP.
//
// A request meets, in this order:
//
//	admin.go        Config, Handler, Serve; the loopback rule
//	body.go         its body read, bounded in size and time
//	auth.go         its token, before anything about tenants is said
//	api_*.go        its operation, one file for each noun
//	problem.go      or the refusal, RFC 9457, from a table of causes
//
// /health, /ready and /openapi.json need no token; /metrics needs none on a
// loopback address. The wire types are those of package client.
//
// The package owns no goroutine but those of net/http: Serve returns when they
// are gone. It knows no broker, only the interface of what it asks of one.
package admin
