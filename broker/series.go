package broker

import (
	"cmp"
	"slices"

	"github.com/nusajournal/dermaga/broker/relay"
)

// maxSeries bounds the pools that have series of their own: those with the most
// transactions, since these seldom change places. The others are added up under
// a slug that no tenant can have.
const maxSeries = 1000

const otherSlug = "(other)"

// series adds pools up by slug and role (after a rotation of its password a role
// has two for a while), at most maxSeries of them and one for the rest.
func series(pools []relay.PoolStats) []relay.PoolStats {
	type name struct{ slug, role string }
	sums := map[name]*relay.PoolStats{}
	for _, p := range pools {
		n := name{p.Slug, p.Role}
		if sums[n] == nil {
			sums[n] = &relay.PoolStats{Slug: p.Slug, Role: p.Role}
		}
		add(sums[n], p)
	}
	out := make([]relay.PoolStats, 0, len(sums))
	for _, sum := range sums {
		out = append(out, *sum)
	}
	if len(out) <= maxSeries {
		return out
	}
	slices.SortFunc(out, func(a, b relay.PoolStats) int { return cmp.Compare(b.Transaction.Count(), a.Transaction.Count()) })
	rest := relay.PoolStats{Slug: otherSlug}
	for _, p := range out[maxSeries:] {
		add(&rest, p)
	}
	return append(out[:maxSeries:maxSeries], rest)
}

func add(sum *relay.PoolStats, p relay.PoolStats) {
	sum.Clients += p.Clients
	sum.Waiting += p.Waiting
	sum.Servers += p.Servers
	sum.Idle += p.Idle
	sum.Active += p.Active
	sum.Dialing += p.Dialing
	sum.Held = sum.Held || p.Held
	sum.PoolSize += p.PoolSize
	sum.Transaction.Add(p.Transaction)
	sum.Queries += p.Queries
	sum.BytesIn += p.BytesIn
	sum.BytesOut += p.BytesOut
	sum.ServersOpened += p.ServersOpened
	sum.ServersClosed += p.ServersClosed
	sum.Wait.Add(p.Wait)
	sum.Dial.Add(p.Dial)
	sum.Audit.Add(p.Audit)
	sum.Pinned += p.Pinned
	sum.Pins += p.Pins
	sum.Reparses += p.Reparses
	sum.EvictedIdle += p.EvictedIdle
	sum.EvictedTurn += p.EvictedTurn
	sum.EvictedTTL += p.EvictedTTL
}
