package tenancy

import (
	"container/list"
	"database/sql"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// A pool is one tenant's connections to the broker. Clients.mu guards all of it,
// but for opened, and for err and conns once that is closed.
type pool struct {
	slug   string
	opened chan struct{} // closed when the first connection is there, or err says why not
	err    error
	conns  *pgxpool.Pool // nil: not opened yet, or closed
	db     *sql.DB       // over conns; nil: nobody has asked for it

	users   int
	used    time.Time     // by the last of them
	dropped bool          // it is to be closed when it has no users
	place   *list.Element // nil: it has none, since it is being opened or was dropped
}

// pools are those that are open, each in its place, and those that are being opened,
// without one. The one that was got last stands last. A cache that evicts by itself
// would close pools that are in use.
type pools struct {
	bySlug map[string]*pool
	order  *list.List // of *pool: the open ones
}

func newPools() pools { return pools{bySlug: map[string]*pool{}, order: list.New()} }

// get returns the slug's pool, nil if there is none, and moves it to the end.
func (s *pools) get(slug string) *pool {
	p := s.bySlug[slug]
	if p != nil && p.place != nil {
		s.order.MoveToBack(p.place)
	}
	return p
}

// add makes a pool that is to be opened.
func (s *pools) add(slug string) *pool {
	p := &pool{slug: slug, opened: make(chan struct{}), used: time.Now()}
	s.bySlug[slug] = p
	return p
}

// place counts p, which has been opened, among the open ones.
func (s *pools) place(p *pool) { p.place = s.order.PushBack(p) }

// remove takes p out, if it is in.
func (s *pools) remove(p *pool) {
	if p.dropped {
		return
	}
	p.dropped = true
	delete(s.bySlug, p.slug)
	if p.place != nil {
		s.order.Remove(p.place)
		p.place = nil
	}
}

// first is the pool that makes room for another: of those without users, else of
// all, the one that was got first.
func (s *pools) first() *pool {
	all := s.openOnes()
	if i := slices.IndexFunc(all, func(p *pool) bool { return p.users == 0 }); i >= 0 {
		return all[i]
	}
	return all[0]
}

// openOnes are those with a place, the one that was got first first.
func (s *pools) openOnes() []*pool {
	all := make([]*pool, 0, s.order.Len())
	for e := s.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*pool))
	}
	return all
}

// slugs of the open ones are in alphabetical order, and never nil: [] in JSON.
func (s *pools) slugs() []string {
	all := make([]string, 0, s.order.Len())
	for _, p := range s.openOnes() {
		all = append(all, p.slug)
	}
	slices.Sort(all)
	return all
}
