package relay

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/nusajournal/dermaga/broker/wire"
)

// params is a set of parameters and their values, sorted by name. It never
// changes; equal sets of one loop are nearly always the same pointer, so that a
// client and a server that agree are found out by one comparison.
type params struct{ list []Param }

// interner makes params. Owned by its loop.
type interner struct {
	have map[string]*params
	none *params
}

// maxInterned bounds the interner's memory: application names may differ for
// every client. Past it, it starts anew; equal sets are then compared by value.
const maxInterned = 4096

func newInterner() interner {
	none := &params{}
	return interner{have: map[string]*params{"": none}, none: none}
}

// of returns list as params.
func (in *interner) of(list []Param) *params {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
	var key strings.Builder
	for _, p := range list {
		key.WriteString(p.Name)
		key.WriteByte(0)
		key.WriteString(p.Value)
		key.WriteByte(0)
	}
	if p, ok := in.have[key.String()]; ok {
		return p
	}
	if len(in.have) >= maxInterned {
		in.have = map[string]*params{"": in.none}
	}
	p := &params{list: list}
	in.have[key.String()] = p
	return p
}

// with returns p with name set to value.
func (in *interner) with(p *params, name, value string) *params {
	list := slices.Clone(p.list)
	if i := slices.IndexFunc(list, func(x Param) bool { return x.Name == name }); i < 0 {
		list = append(list, Param{name, value})
	} else {
		list[i].Value = value
	}
	return in.of(list)
}

// get returns name's value and whether it is known.
func (p *params) get(name string) (string, bool) {
	for _, x := range p.list {
		if x.Name == name {
			return x.Value, true
		}
	}
	return "", false
}

// prelude appends to out what s must be told before c can use it: nothing in the
// ordinary case. It goes out in one write with c's first message, and its answers
// are swallowed. RESET ALL comes first when it has settings of another client that
// it does not report, or may have some that nobody can ask for; c's settings follow
// where s differs.
func (l *loop) prelude(out []byte, c *client, s *server) []byte {
	murky := s.murky && s.last != c.serial
	if murky || s.extra != c.extra && s.extra != l.sets.none && (c.mode != Session || s.last != c.serial) {
		out = wire.AppendQuery(out, "RESET ALL")
		s.due.precede()
		s.extra, s.reported = l.sets.none, s.base
	}
	if murky {
		out = appendReseed(out)
		s.due.precede()
		s.murky = false
	}
	if s.last != c.serial {
		s.foreign = s.last != 0
		if s.foreign && (c.wantClean || c.pool.sequences) {
			out = wire.AppendQuery(out, "DISCARD SEQUENCES")
			s.due.precede()
			s.foreign = false
		}
	}
	pairs := l.differences(c, s)
	if i := slices.IndexFunc(pairs, isEncoding); i >= 0 { // what follows is read in it
		out = wire.AppendSetConfig(out, pairs[i:i+1])
		s.due.precede()
		pairs = slices.Delete(pairs, i, i+1)
	}
	if len(pairs) > 0 {
		out = wire.AppendSetConfig(out, pairs)
		s.due.precede()
	}
	s.extra = c.extra
	return out
}

func isEncoding(pair [2]string) bool { return pair[0] == "client_encoding" }

// appendReseed appends what makes the numbers of random() nobody's choice: setseed
// survives DISCARD ALL, and nothing shows it.
func appendReseed(out []byte) []byte {
	return wire.AppendSelect(out, "SELECT pg_catalog.setseed($1)", []string{strconv.FormatFloat(2*rand.Float64()-1, 'g', -1, 64)})
}

// differences lists the settings in which s is not as c wants it. A value that
// only the server sets, such as in_hot_standby, is told to the client instead.
func (l *loop) differences(c *client, s *server) (pairs [][2]string) {
	if c.told != s.reported {
		for _, have := range s.reported.list {
			want, chosen := c.own.get(have.Name)
			if !chosen { // another client may have changed it
				want, _ = s.base.get(have.Name)
			}
			if want != have.Value && !fixed(have.Name) {
				pairs = append(pairs, [2]string{have.Name, want})
			}
		}
	}
	if c.extra != s.extra {
		for _, want := range c.extra.list {
			pairs = append(pairs, [2]string{want.Name, want.Value})
		}
	}
	return pairs
}

// fixed reports whether a reported parameter is the server's own affair.
func fixed(name string) bool {
	switch name {
	case "in_hot_standby", "integer_datetimes", "is_superuser", "server_encoding", "server_version", "session_authorization":
		return true
	}
	return false
}

// agree makes what c knows and what s reports the same, once s has done what the
// prelude asked: c learns a value in the server's spelling, and what it could
// not have chosen.
func (l *loop) agree(c *client, s *server) {
	if c.told == s.reported {
		return
	}
	var out []byte
	for _, have := range s.reported.list {
		if known, ok := c.told.get(have.Name); !ok || known != have.Value {
			out = wire.AppendParameterStatus(out, have.Name, have.Value)
		}
	}
	c.told = s.reported
	if len(out) > 0 {
		l.write(&c.conn, out)
	}
}

// report notes a ParameterStatus of s. While its client is served by it, the
// client hears of it too.
func (l *loop) report(s *server, body []byte, forClient bool) {
	name, rest, ok := wire.Cut(body)
	value, _, ok2 := wire.Cut(rest)
	if !ok || !ok2 {
		return
	}
	n, v := string(name), string(value)
	s.reported = l.sets.with(s.reported, n, v)
	switch {
	case s.client == nil: // a reloaded configuration: what DISCARD ALL goes back to
		s.base = l.sets.with(s.base, n, v)
	case forClient:
		s.client.told = l.sets.with(s.client.told, n, v)
		s.client.own = l.sets.with(s.client.own, n, v)
		if n == "client_encoding" { // values are kept as they are read in it
			for _, p := range s.client.extra.list {
				if strings.ContainsFunc(p.Value, func(r rune) bool { return r >= 0x80 }) {
					l.touch(s.client, p.Name)
				}
			}
		}
	}
}
