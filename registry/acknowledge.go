package registry

import "context"

// Acknowledge says that everything which the changes up to this one ask for has
// happened in this process: its clients are held, or gone. It is for the broker
// (Config.Broker); other instances read it as Instance.SeenChange at once. It
// does not block and may be called from an observer.
//
// Every change must be acknowledged, also one that concerns nobody here, and
// after the first OnChange the newest one so far (Stats().SeenChange).
func (r *Registry) Acknowledge(change int64) { r.acked.Store(max(change, r.acked.Load())) }

// LastChange returns a change that stands behind everything committed by now: it
// announces one of entity "mark", which asks for nothing but to be acknowledged.
// The newest id in the table would not do: a smaller one may be committed later.
func (r *Registry) LastChange(ctx context.Context) (int64, error) {
	return 0, ErrUnavailable
}

// WaitSeen waits until every live instance that relays has acknowledged change,
// or until ctx ends. late are those that had not: whoever needs certainty
// fences them at PostgreSQL. An error means that the registry did not answer;
// the end of ctx is none.
func (r *Registry) WaitSeen(ctx context.Context, change int64) (late []Instance, err error) {
	return nil, ErrUnavailable
}
