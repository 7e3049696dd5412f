package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/poll"
	"github.com/nusajournal/dermaga/broker/relay"
	"github.com/nusajournal/dermaga/broker/wire"
	"github.com/nusajournal/dermaga/registry"
)

// welcome tells p's client that it is in, as its server would, and hands the
// connection over to the relay. From then on p's place and key are given back
// when the relay says that the client has ended.
func (b *Broker) welcome(ctx context.Context, p passage) (err error) {
	leave := p.leave
	defer func() {
		if err != nil {
			leave()
		}
	}()
	settings, target := p.sessionSettings(), b.target(p.route)
	if p.replication {
		target = b.replicationTarget(p.route, settings)
		settings = nil // its server begins with them
	}
	greeting, err := b.greeting(ctx, p.route, target)
	if err != nil {
		return err
	}
	params, err := told(greeting, settings)
	if err != nil {
		return err
	}
	if why := b.census.barred(p.guest()); why != nil {
		return why // while we waited for the greeting
	}
	l := p.line
	key := b.keys.issue(p.version, b.cancelPrefix())
	leave = func() {
		b.keys.drop(key.PID)
		p.leave()
	}

	l.say(&pgproto3.AuthenticationOk{})
	for _, param := range params {
		l.say(&pgproto3.ParameterStatus{Name: param.Name, Value: param.Value})
	}
	if b.cfg.TellSettings {
		for _, own := range p.ownSettings(b.cfg.Version) {
			l.say(&pgproto3.ParameterStatus{Name: own.Name, Value: own.Value})
		}
	}
	l.say(&pgproto3.BackendKeyData{ProcessID: key.PID, SecretKey: key.Secret})
	l.say(&pgproto3.ReadyForQuery{TxStatus: wire.Idle})
	if err := l.finish(b.cfg.ClientLoginTimeout); err != nil {
		return err
	}
	_, encrypted := l.Conn.(*poll.TLS)
	client := relay.Client{
		Conn: l.Conn, Target: target, Mode: p.mode, Login: p.guest().tag(),
		Told: params, Own: reportedOf(settings, params), Set: unreported(settings, params), Ended: func() {
			leave()
			l.ended()
		},
		Once: p.replication,
		ID:   l.number, Name: p.user, Since: l.began,
	}
	b.visited.note(p.route)
	handle, err := b.bringIn(client)
	if err != nil {
		return handedOver{err}
	}
	b.keys.own(key.PID, handle)
	if why := b.census.barred(p.guest()); why != nil { // just now, and not seen by the one who barred
		b.endLogin(p.guest(), why, func() {})
	}
	b.log.Debug(eventLogin, keyConn, l.id, keyRemote, p.remote, keyTenant, p.route.Slug, keyUser, p.user,
		keyMode, p.mode.String(), keyTLS, encrypted, keyTook, time.Since(l.began))
	return nil
}

// greeting is what a server of target greets with. Where none is remembered a
// server has to be opened. A dial has a time-out of its own, so what takes longer
// than a query may wait is the wait for a server that does not come back, for a
// place among the open tenants, or for one of the server's connections.
func (b *Broker) greeting(ctx context.Context, route *registry.Route, target *relay.Target) ([]relay.Param, error) {
	late := b.refusal(relay.NoPlace, target, "")
	ctx, cancel := context.WithTimeoutCause(ctx, target.Times.QueryWait, late)
	defer cancel()
	params, err := b.relay.Greeting(ctx, target)
	if ctx.Err() != nil && err != nil {
		if failed := b.upstreams.last(target.Key); failed != nil {
			return nil, errServer(route.Slug, failed)
		}
		if _, short := b.limits.short(target); short && errors.Is(err, late) {
			return nil, b.refusal(relay.QueryWait, target, "")
		}
	}
	return params, err
}

// finish sends the last of the ceremony and frees the connection of its
// deadlines.
func (l *line) finish(limit time.Duration) error {
	if err := l.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	if !l.uninterrupted() {
		return errShuttingDown
	}
	return l.SetDeadline(time.Time{})
}

// ownSettings are what Config.TellSettings tells, as PgBouncer 1.26 does of its own.
func (p passage) ownSettings(version string) []relay.Param {
	return []relay.Param{
		{Name: "dermaga.version", Value: version},
		{Name: modeSetting, Value: p.mode.String()},
		{Name: "dermaga.tenant", Value: p.route.Slug},
	}
}

// handedOver is an error after the connection has become the relay's.
type handedOver struct{ error }

// sessionSettings are the login's own settings, and the client's over them.
func (p passage) sessionSettings() []relay.Param {
	settings := make([]relay.Param, 0, len(p.login.Params)+len(p.settings))
	for name, value := range p.login.Params {
		if !has(p.settings, name) {
			settings = append(settings, relay.Param{Name: name, Value: value})
		}
	}
	return append(settings, p.settings...)
}

// reportedOf are the settings among params, in the server's spelling.
func reportedOf(settings, params []relay.Param) []relay.Param {
	var out []relay.Param
	for _, p := range params {
		if has(settings, p.Name) {
			out = append(out, p)
		}
	}
	return out
}

// unreported are the settings whose values no ParameterStatus tells.
func unreported(settings, params []relay.Param) []relay.Param {
	var out []relay.Param
	for _, s := range settings {
		if !has(params, s.Name) {
			out = append(out, s)
		}
	}
	return out
}

func has(params []relay.Param, name string) bool {
	for _, p := range params {
		if strings.EqualFold(p.Name, name) {
			return true
		}
	}
	return false
}

// times are a tenant's time-outs: its own, and the broker's where it has none.
func (b *Broker) times(own registry.Overrides) relay.Times {
	return relay.Times{
		Query:           own.QueryTimeout.Or(b.cfg.QueryTimeout),
		QueryWait:       own.QueryWaitTimeout.Or(b.cfg.QueryWaitTimeout),
		WaitNotify:      own.QueryWaitNotify.Or(b.cfg.QueryWaitNotify),
		IdleTransaction: own.IdleTransactionTimeout.Or(b.cfg.IdleTransactionTimeout),
		Transaction:     own.TransactionTimeout.Or(b.cfg.TransactionTimeout),
		ClientIdle:      own.ClientIdleTimeout.Or(b.cfg.ClientIdleTimeout),
		PinIdle:         own.PinIdleTimeout.Or(b.cfg.PinIdleTimeout),
	}
}

// target is what the relay needs to know of a route.
func (b *Broker) target(r *registry.Route) *relay.Target {
	key := fmt.Sprintf("%s/%s/%d/%d/%s", r.TenantID, r.Role, r.Generation, r.Server.ID, r.Database)
	return &relay.Target{
		Key:    key,
		Tenant: r.TenantID,
		// A database and a role may have settings of their own, so no two tenants
		// share a greeting.
		Greeting:    fmt.Sprintf("%d/%s/%s", r.Server.ID, r.Database, r.Role),
		Slug:        r.Slug,
		Database:    r.Database,
		Role:        r.Role,
		PoolSize:    max(r.PoolSize, 1),
		MinPoolSize: min(r.MinPoolSize, max(r.PoolSize, 1)),
		Server:      strconv.FormatInt(r.Server.ID, 10),
		Budget:      r.Server.ConnectionBudget,
		Weight:      max(r.Weight, 1),
		QueueLength: b.cfg.QueueLength,
		MaxPinned:   cmp.Or(r.Own.MaxPinned, b.cfg.MaxPinned),
		Refuse:      cmp.Or(r.Own.TransactionState, b.cfg.TransactionState) == stateRefuse,
		Times:       b.times(r.Own),
		Dial: func(ctx context.Context) (*relay.Server, error) {
			server, err := b.open(ctx, key, r, nil)
			if err != nil {
				return nil, errServer(r.Slug, err)
			}
			return server, nil
		},
		Cancel: func(ctx context.Context, key relay.BackendKey) error {
			return b.dialer.cancelServer(ctx, r.Server, key)
		},
	}
}
