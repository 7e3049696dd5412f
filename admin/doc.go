// Package admin is the operators' side of Dermaga over HTTP.
//
// A request meets, in this order:
//
//	admin.go        Config, Handler, Serve; the loopback rule
//	body.go         its body read, bounded in size and time
//	auth.go         its token, before anything about tenants is said
//	api_*.go        its operation, one file for each subject
//	once.go         made once for each Idempotency-Key
//	settle.go       a change of status: waited for at the brokers, fenced at PostgreSQL
//	problem.go      or the refusal, RFC 9457, from a table of causes
//
// /health, /ready and /openapi.json need no token; /metrics needs none on a
// loopback address. The wire types are those of package client.
//
// The package owns no goroutines but those of net/http, and those with which a
// request asks all brokers at the same time: Serve returns when they are gone. It
// assumes no broker in its own process: what brokers are told stands in the
// registry, and what they are asked goes over their peer addresses
// (registry/peer).
package admin
