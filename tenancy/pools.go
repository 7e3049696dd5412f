package tenancy

import (
	"container/list"
	"database/sql"
	"maps"
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
	used    time.Time // by the last of them
	dropped bool      // it is to be closed when it has no users
	place   *list.Element
}

// pools are those that are open or being opened. The one that was got last stands
// last. A cache that evicts by itself would close pools that are in use.
type pools struct {
	bySlug map[string]*pool
	order  *list.List // of *pool
}

func newPools() pools { return pools{bySlug: map[string]*pool{}, order: list.New()} }

// get returns the slug's pool, nil if there is none, and moves it to the end.
func (s *pools) get(slug string) *pool {
	p := s.bySlug[slug]
	if p != nil {
		s.order.MoveToBack(p.place)
	}
	return p
}

func (s *pools) add(slug string) *pool {
	p := &pool{slug: slug, opened: make(chan struct{}), used: time.Now()}
	p.place = s.order.PushBack(p)
	s.bySlug[slug] = p
	return p
}

// remove takes p out, if it is in.
func (s *pools) remove(p *pool) {
	if p.dropped {
		return
	}
	p.dropped = true
	s.order.Remove(p.place)
	delete(s.bySlug, p.slug)
}

// first is the pool that makes room for another: of those without users, else of
// all, the one that was got first.
func (s *pools) first() *pool {
	all := s.oldestFirst()
	if i := slices.IndexFunc(all, func(p *pool) bool { return p.users == 0 }); i >= 0 {
		return all[i]
	}
	return all[0]
}

func (s *pools) oldestFirst() []*pool {
	all := make([]*pool, 0, s.order.Len())
	for e := s.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*pool))
	}
	return all
}

// slugs are in alphabetical order, and never nil: [] in JSON.
func (s *pools) slugs() []string {
	all := slices.AppendSeq([]string{}, maps.Keys(s.bySlug))
	slices.Sort(all)
	return all
}
