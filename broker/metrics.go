package broker

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nusajournal/dermaga/broker/relay"
)

// Collector gives Prometheus the broker's figures, read when it scrapes: the
// loops count for themselves, and nothing is counted for Prometheus' sake.
func (b *Broker) Collector() prometheus.Collector { return collector{b} }

type collector struct{ b *Broker }

var (
	descReady      = desc("ready", "Whether new clients should be sent here.")
	descConns      = desc("connections", "Connections of clients, proven or not.")
	descConnsMax   = desc("connections_limit", "Connections of clients that there may be (max_client_conn).")
	descAccepted   = desc("connections_accepted_total", "Connections accepted.")
	descDropped    = desc("connections_dropped_total", "Connections that ended before they could be told why.")
	descRefused    = desc("connections_refused_total", "Connections refused, by the SQLSTATE they were told.", "sqlstate")
	descHalfOpen   = desc("connections_half_open", "Connections that have not proven who they are.")
	descEnded      = desc("clients_ended_total", "Clients that the relay ended, by the SQLSTATE they were told.", "sqlstate")
	descDials      = desc("server_login_errors_total", "Logins to servers that failed, by the server's SQLSTATE.", "sqlstate")
	descRepairs    = desc("credential_repairs_total", "Passwords of server roles that were set again, by outcome.", "outcome")
	descCancels    = desc("cancels_total", "Cancel requests.")
	descCancelsBad = desc("cancels_wrong_total", "Cancel requests that fitted no client, or came too often.")
	descPoolsMax   = desc("tenant_pools_limit", "Tenants that may have open pools at once (MAX_CONNECTIONS).")
	descPools      = desc("tenant_pools", "Tenants with open pools.")
	descBarred     = desc("tenants_barred", "Tenants whose clients are held or ended, by status.", "status")

	descShareUsed    = desc("budget_used", "Connections of a PostgreSQL server that this instance uses.", "server")
	descShare        = desc("budget_share", "Connections of a PostgreSQL server that this instance may use.", "server")
	descShareWaiting = desc("budget_waiting", "Connections that pools wait for because of the share.", "server")

	descLookups   = desc("registry_lookups_total", "Questions about logins, by where the answer came from.", "source")
	descEntries   = desc("registry_cache_entries", "Remembered answers, of known and of unknown names.", "kind")
	descChanges   = desc("registry_changes_total", "Changes of the registry that were applied.")
	descListening = desc("registry_listening", "Whether the channel of changes is open.")
	descUp        = desc("registry_up", "Whether the registry answered the last question.")

	descClients  = desc("clients", "Clients that are logged in, by state: waiting for a server, active on one, or idle.", "tenant", "role", "state")
	descServers  = desc("servers", "Server connections, by state: active for a client, idle, or dialing.", "tenant", "role", "state")
	descPoolSize = desc("pool_size", "Server connections that the pool may have.", "tenant", "role")
	descHeld     = desc("pool_held", "Whether new transactions wait for a migration.", "tenant", "role")
	descTx       = desc("transactions_total", "Transactions ended.", "tenant", "role")
	descErrors   = desc("query_errors_total", "Errors that servers answered to clients' queries, by SQLSTATE.", "sqlstate")
	descQueries  = desc("queries_total", "Queries ended.", "tenant", "role")
	descBytesIn  = desc("received_bytes_total", "Bytes from clients.", "tenant", "role")
	descBytesOut = desc("sent_bytes_total", "Bytes from servers.", "tenant", "role")
	descOpened   = desc("servers_opened_total", "Server connections opened.", "tenant", "role")
	descClosed   = desc("servers_closed_total", "Server connections closed.", "tenant", "role")
	descEvicted  = desc("pool_evictions_total", "Times that the pool was closed, by reason: idle, for another tenant; turn, busy, for another tenant; ttl, unused.", "tenant", "role", "reason")

	descPinned = desc("pinned_clients", "Clients that keep a server connection for what they left in its session.", "tenant", "role")
	descPins   = desc("pins_total", "Times that a client began to keep a server connection.", "tenant", "role")
	descAgain  = desc("statements_prepared_again_total", "Prepared statements that were prepared on one more server connection.", "tenant", "role")

	descWait   = desc("wait_seconds", "Waits for a server connection that are over.", "tenant", "role")
	descTxTime = desc("transaction_seconds", "Transactions, from their first message on.", "tenant", "role")
	descAudit  = desc("audit_seconds", "Questions what a client has left in its server connection.", "tenant", "role")
	descDial   = desc("server_login_seconds", "Server connections opened, with login.", "tenant", "role")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dermaga_"+name, help, labels, nil)
}

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descReady, descConns, descConnsMax, descAccepted, descDropped, descRefused, descHalfOpen, descEnded, descDials, descRepairs,
		descCancels, descCancelsBad, descPoolsMax, descPools, descBarred, descShareUsed, descShare, descShareWaiting,
		descLookups, descEntries, descChanges, descListening, descUp,
		descClients, descServers, descPoolSize, descHeld, descTx, descQueries, descErrors, descBytesIn, descBytesOut,
		descOpened, descClosed, descEvicted, descPinned, descPins, descAgain, descWait, descTxTime, descAudit, descDial,
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
	s := scrape{ch: ch, since: c.b.born}
	c.process(s, stats)
	c.registry(s)
	errors := map[string]uint64{}
	for _, p := range stats.Pools {
		for code, n := range p.Errors {
			errors[code] += n
		}
	}
	for code, n := range errors {
		s.count(descErrors, n, code)
	}
	for _, p := range series(stats.Pools) {
		s.pool(p)
	}
}

// scrape is one reading of all figures.
type scrape struct {
	ch    chan<- prometheus.Metric
	since time.Time // of all counters
}

func (s scrape) count(d *prometheus.Desc, v uint64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (s scrape) gauge(d *prometheus.Desc, v int, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
}

func (s scrape) yes(d *prometheus.Desc, v bool, labels ...string) {
	n := 0
	if v {
		n = 1
	}
	s.gauge(d, n, labels...)
}

// secondsAt is the native histogram bucket, of powers of two seconds, for ours
// of powers of two nanoseconds: 2^-30 s are 0.93 ns, so its bounds are 7 % too
// low, in buckets whose bounds are 100 % apart.
const secondsAt = -30

func (s scrape) durations(d *prometheus.Desc, h relay.Histogram, labels ...string) {
	buckets := map[int]int64{}
	for i, n := range h.Buckets {
		if n > 0 {
			buckets[i+secondsAt] = int64(n)
		}
	}
	s.ch <- prometheus.MustNewConstNativeHistogram(d, h.Count(), h.Sum.Seconds(), buckets, nil, 0, 0, 0, s.since, labels...)
}

// process has the figures that belong to no pool.
func (c collector) process(s scrape, stats Stats) {
	n := &c.b.counters
	s.yes(descReady, c.b.Ready())
	s.gauge(descConns, stats.Connections)
	s.gauge(descConnsMax, c.b.cfg.MaxClients)
	s.count(descAccepted, stats.Accepted)
	s.count(descDropped, stats.Dropped)
	s.gauge(descHalfOpen, stats.HalfOpen)
	for _, by := range []struct {
		desc *prometheus.Desc
		of   map[string]uint64
	}{{descRefused, stats.Refused}, {descEnded, stats.Ended}, {descDials, stats.DialErrors}} {
		for code, times := range by.of {
			s.count(by.desc, times, code)
		}
	}
	s.count(descRepairs, n.repairs.Load(), "done")
	s.count(descRepairs, n.repairErrors.Load(), "failed")
	s.count(descCancels, n.cancels.Load())
	s.count(descCancelsBad, n.wrongCancels.Load())
	s.gauge(descPoolsMax, stats.MaxConnections)
	s.gauge(descPools, stats.OpenTenants)
	for status, tenants := range c.b.watch.count() {
		s.gauge(descBarred, tenants, string(status))
	}
	for _, server := range stats.Servers {
		id := strconv.FormatInt(server.ID, 10)
		s.gauge(descShareUsed, server.Used, id)
		s.gauge(descShareWaiting, server.Waiting, id)
		if server.Budget > 0 {
			s.gauge(descShare, server.Share, id)
		}
	}
}

func (c collector) registry(s scrape) {
	now := c.b.reg.Stats()
	s.count(descLookups, now.Hits, "memory")
	s.count(descLookups, now.Misses, "registry")
	s.count(descLookups, now.Stale, "stale")
	s.gauge(descEntries, now.Known, "known")
	s.gauge(descEntries, now.Unknown, "unknown")
	s.count(descChanges, now.Changes)
	s.yes(descListening, now.Listening)
	s.yes(descUp, !now.Down)
}

func (s scrape) pool(p relay.PoolStats) {
	s.gauge(descClients, p.Waiting, p.Slug, p.Role, "waiting")
	s.gauge(descClients, p.Active, p.Slug, p.Role, "active")
	s.gauge(descClients, max(0, p.Clients-p.Waiting-p.Active), p.Slug, p.Role, "idle")
	s.gauge(descServers, p.Active, p.Slug, p.Role, "active")
	s.gauge(descServers, p.Idle, p.Slug, p.Role, "idle")
	s.gauge(descServers, p.Dialing, p.Slug, p.Role, "dialing")
	s.gauge(descPoolSize, p.PoolSize, p.Slug, p.Role)
	s.yes(descHeld, p.Held, p.Slug, p.Role)
	s.count(descTx, p.Transaction.Count(), p.Slug, p.Role)
	s.count(descQueries, p.Queries, p.Slug, p.Role)
	s.count(descBytesIn, p.BytesIn, p.Slug, p.Role)
	s.count(descBytesOut, p.BytesOut, p.Slug, p.Role)
	s.count(descOpened, p.ServersOpened, p.Slug, p.Role)
	s.count(descClosed, p.ServersClosed, p.Slug, p.Role)
	s.count(descEvicted, p.EvictedIdle, p.Slug, p.Role, "idle")
	s.count(descEvicted, p.EvictedTurn, p.Slug, p.Role, "turn")
	s.count(descEvicted, p.EvictedTTL, p.Slug, p.Role, "ttl")
	s.gauge(descPinned, p.Pinned, p.Slug, p.Role)
	s.count(descPins, p.Pins, p.Slug, p.Role)
	s.count(descAgain, p.Reparses, p.Slug, p.Role)
	s.durations(descWait, p.Wait, p.Slug, p.Role)
	s.durations(descAudit, p.Audit, p.Slug, p.Role)
	s.durations(descTxTime, p.Transaction, p.Slug, p.Role)
	s.durations(descDial, p.Dial, p.Slug, p.Role)
}
