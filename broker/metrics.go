package broker

import (
	"cmp"
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nusajournal/dermaga/broker/relay"
)

// Collector gives Prometheus the broker's figures, read when it scrapes.
func (b *Broker) Collector() prometheus.Collector { return collector{b} }

type collector struct{ b *Broker }

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
	sum.PoolSize += p.PoolSize
	sum.Transaction.Add(p.Transaction)
	sum.Queries += p.Queries
	sum.BytesIn += p.BytesIn
	sum.BytesOut += p.BytesOut
	sum.ServersOpened += p.ServersOpened
	sum.ServersClosed += p.ServersClosed
	sum.Wait.Add(p.Wait)
	sum.Dial.Add(p.Dial)
	sum.EvictedIdle += p.EvictedIdle
	sum.EvictedTurn += p.EvictedTurn
	sum.EvictedTTL += p.EvictedTTL
}

var (
	descAccepted = desc("connections_accepted_total", "Connections accepted.")
	descDropped  = desc("connections_dropped_total", "Connections that ended before they could be told why.")
	descRefused  = desc("connections_refused_total", "Connections refused, by the SQLSTATE they were told.", "sqlstate")
	descHalfOpen = desc("connections_half_open", "Connections that have not proven who they are.")
	descPoolsMax = desc("tenant_pools_limit", "Tenants that may have open pools at once (MAX_CONNECTIONS).")
	descPools    = desc("tenant_pools", "Tenants with open pools.")

	descClients  = desc("clients", "Clients connected.", "tenant", "role")
	descWaiting  = desc("clients_waiting", "Clients waiting for a server connection.", "tenant", "role")
	descServers  = desc("servers", "Server connections.", "tenant", "role")
	descIdle     = desc("servers_idle", "Server connections that nobody uses.", "tenant", "role")
	descPoolSize = desc("pool_size", "Server connections that the pool may have.", "tenant", "role")
	descTx       = desc("transactions_total", "Transactions ended.", "tenant", "role")
	descQueries  = desc("queries_total", "Queries ended.", "tenant", "role")
	descBytesIn  = desc("received_bytes_total", "Bytes from clients.", "tenant", "role")
	descBytesOut = desc("sent_bytes_total", "Bytes from servers.", "tenant", "role")
	descOpened   = desc("servers_opened_total", "Server connections opened.", "tenant", "role")
	descClosed   = desc("servers_closed_total", "Server connections closed.", "tenant", "role")
	descWaits    = desc("waits_total", "Times that a client had to wait for a server connection.", "tenant", "role")
	descWaited   = desc("wait_seconds_total", "Time that clients spent waiting for a server connection.", "tenant", "role")
	descEvicted  = desc("pool_evictions_total", "Times that the pool was closed for another tenant.", "tenant", "role")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dermaga_"+name, help, labels, nil)
}

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descAccepted, descDropped, descRefused, descHalfOpen, descPoolsMax, descPools,
		descClients, descWaiting, descServers, descIdle, descPoolSize, descTx, descQueries, descBytesIn, descBytesOut,
		descOpened, descClosed, descWaits, descWaited, descEvicted,
	} {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	stats, err := c.b.Stats(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descClients, err)
		return
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count(descAccepted, float64(stats.Accepted))
	count(descDropped, float64(stats.Dropped))
	for code, n := range stats.Refused {
		count(descRefused, float64(n), code)
	}
	gauge(descHalfOpen, float64(stats.HalfOpen))
	gauge(descPoolsMax, float64(stats.MaxConnections))
	gauge(descPools, float64(stats.OpenTenants))
	for _, s := range series(stats.Pools) {
		gauge(descClients, float64(s.Clients), s.Slug, s.Role)
		gauge(descWaiting, float64(s.Waiting), s.Slug, s.Role)
		gauge(descServers, float64(s.Servers), s.Slug, s.Role)
		gauge(descIdle, float64(s.Idle), s.Slug, s.Role)
		gauge(descPoolSize, float64(s.PoolSize), s.Slug, s.Role)
		count(descTx, float64(s.Transaction.Count()), s.Slug, s.Role)
		count(descQueries, float64(s.Queries), s.Slug, s.Role)
		count(descBytesIn, float64(s.BytesIn), s.Slug, s.Role)
		count(descBytesOut, float64(s.BytesOut), s.Slug, s.Role)
		count(descOpened, float64(s.ServersOpened), s.Slug, s.Role)
		count(descClosed, float64(s.ServersClosed), s.Slug, s.Role)
		count(descWaits, float64(s.Wait.Count()), s.Slug, s.Role)
		count(descWaited, s.Wait.Sum.Seconds(), s.Slug, s.Role)
		count(descEvicted, float64(s.EvictedIdle+s.EvictedTurn), s.Slug, s.Role)
	}
}
