package registry

import "context"

// Shares takes part in dividing the servers' connection budgets among the live
// brokers, each second until Close, and returns after the first division or
// when ctx ends. Needs Config.Broker.
//
// used returns how many connections to a server this process has: those being
// opened, and being closed, included. set is told how many it may have; where
// used is more, it must open none until it is fewer. A server that set was
// never called for has none. Both are called from the listener's goroutine and
// must not block.
//
// The shares of all instances together never exceed a server's budget: one is
// raised only by what is free, and what is given up is free for others only
// when used says so. The share of an instance that is silent counts for ten
// seconds. While the registry is down, shares stay as they are.
func (r *Registry) Shares(ctx context.Context, used func(serverID int64) int, set func(serverID int64, connections int)) error {
	return ErrUnavailable
}
