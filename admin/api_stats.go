package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/peer"
)

// peerLimit bounds the wait for one broker's figures: one that hangs must not
// hide the others'.
const peerLimit = 2 * time.Second

func (a *api) addStats(ops huma.API) {
	huma.Register(ops, operation("get-stats", http.MethodGet, "/v1/stats", "Show what the brokers do now",
		registry.Viewer), a.getStats)
}

type statsOutput struct{ Body client.Stats }

func (a *api) getStats(ctx context.Context, _ *struct{}) (*statsOutput, error) {
	instances, err := a.brokers(ctx)
	if err != nil {
		return nil, a.refuse("get-stats", err)
	}
	names, err := a.serverNames(ctx)
	if err != nil {
		return nil, a.refuse("get-stats", err)
	}
	answers := askEach(ctx, instances, peerLimit, func(ctx context.Context, i registry.Instance) (peer.Stats, error) {
		return a.Peers.Stats(ctx, i.PeerAddress)
	})
	// Lists in JSON, never null.
	out := client.Stats{Tenants: []client.TenantStats{}, Instances: []client.InstanceStats{}}
	tenants := map[string]client.TenantStats{}
	for n, i := range instances {
		got := answers[n]
		out.Instances = append(out.Instances, instanceStats(i, got.value, got.err, names))
		if got.err != nil {
			continue
		}
		out.ActiveConnections += got.value.OpenTenants
		out.MaxConnections += got.value.MaxConnections
		out.Clients += got.value.Connections
		for _, t := range got.value.Tenants {
			if t.Open || t.Clients > 0 || t.Waiting > 0 {
				tenants[t.Slug] = addTenant(tenants[t.Slug], t)
			}
			out.Servers += t.Servers
			out.Waiting += t.Waiting
		}
	}
	for _, t := range tenants {
		out.Tenants = append(out.Tenants, t)
	}
	slices.SortFunc(out.Tenants, func(a, b client.TenantStats) int { return cmp.Compare(a.Slug, b.Slug) })
	return &statsOutput{Body: out}, nil
}

func addTenant(t client.TenantStats, more peer.Tenant) client.TenantStats {
	t.Slug = more.Slug
	t.Pools += more.Pools
	t.Clients += more.Clients
	t.Active += more.Active
	t.Waiting += more.Waiting
	t.Servers += more.Servers
	t.IdleServers += more.IdleServers
	t.PoolSize += more.PoolSize
	t.Held = t.Held || more.Held
	t.Transactions += more.Transactions
	t.Queries += more.Queries
	t.BytesIn += more.BytesIn
	t.BytesOut += more.BytesOut
	t.Waits += more.Waits
	t.WaitedSeconds += more.Waited.Seconds()
	t.LongestWait = max(t.LongestWait, more.LongestWait.Seconds())
	t.Evictions += more.Evictions
	return t
}

func instanceStats(i registry.Instance, s peer.Stats, err error, names map[int64]string) client.InstanceStats {
	out := client.InstanceStats{
		ID: i.ID, PeerAddress: i.PeerAddress, StartedAt: i.StartedAt, HeartbeatAt: i.HeartbeatAt,
		Live: i.Live, Draining: i.Draining, SeenChange: i.SeenChange, Servers: []client.ServerShare{},
	}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Draining = out.Draining || !s.Ready
	out.Clients, out.MaxClients = s.Connections, s.MaxClients
	out.ActiveConnections, out.MaxConnections = s.OpenTenants, s.MaxConnections
	for _, x := range s.Servers {
		out.Servers = append(out.Servers, client.ServerShare{
			Server: names[x.ID], Used: x.Used, Share: x.Share, Budget: x.Budget, Waiting: x.Waiting,
		})
	}
	return out
}

// brokers are the instances that relay, the silent ones included.
func (a *api) brokers(ctx context.Context) ([]registry.Instance, error) {
	all, err := a.Registry.Instances(ctx)
	return slices.DeleteFunc(all, func(i registry.Instance) bool { return !i.Broker }), err
}

// An answer is what one instance said.
type answer[T any] struct {
	value T
	err   error
}

// askEach asks all instances at the same time, each for limit at most. The
// answers stand in the order of the instances.
func askEach[T any](ctx context.Context, instances []registry.Instance, limit time.Duration,
	ask func(context.Context, registry.Instance) (T, error),
) []answer[T] {
	answers := make([]answer[T], len(instances))
	var asked sync.WaitGroup
	for n, i := range instances {
		if !i.Live {
			answers[n].err = errSilent
			continue
		}
		asked.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, limit, errSilent)
			defer cancel()
			answers[n].value, answers[n].err = ask(ctx, i)
		})
	}
	asked.Wait()
	return answers
}
