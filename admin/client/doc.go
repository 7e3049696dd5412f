// Package client speaks to Dermaga's admin API. The types here are the API's
// own: the server builds its OpenAPI document from them.
//
//	types*.go       what goes over the wire
//	operations*.go  one method for each operation; lists read all their pages
//	client.go       how a request is sent; a refusal is a *Problem
//
// A Client may be used by any number of goroutines. It starts none.
package client
