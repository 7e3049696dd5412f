package model_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nusajournal/dermaga/broker/wire"
)

// patience is how long an answer that must come may take. PostgreSQL needs a
// millisecond, a new server some ten, and either seconds where the machine has too much
// to do. While a failure is made shorter there is less time for each try.
const (
	patience     = 25 * time.Second
	lessPatience = 2 * time.Second
)

// play is one sequence on its way.
type play struct {
	*stage
	servers int
	cast    []*actor // who takes part
	report  []string

	patience time.Duration
}

// errDiffer is the same for all failures, so that rapid knows a shrunk one for the
// one that it was; the report says more.
var errDiffer = errors.New("the broker's answers are not PostgreSQL's")

// perform plays s on the stage and returns what happened, if that was not right.
func (th *theatre) perform(s sequence) (report string, err error) {
	p := &play{stage: th.stage(s.setting), servers: s.servers, patience: patience}
	if th.failed {
		p.patience = lessPatience
	}
	defer func() {
		if err != nil {
			report = strings.Join(p.report, "\n")
			p.strike()
			if !th.failed {
				th.first = report
			}
			th.failed, th.last, th.report = true, s, report
		}
	}()
	for i, a := range p.actors {
		if slices.ContainsFunc(s.steps, func(x step) bool { return x.client == i }) {
			p.cast = append(p.cast, a)
		}
	}
	for _, x := range s.steps {
		if err := p.step(x); err != nil {
			return "", err
		}
	}
	return "", p.end()
}

// step plays x, or puts it off.
func (p *play) step(x step) error {
	a := p.actors[x.client]
	if a.sent {
		a.later = append(a.later, x)
		return nil
	}
	if err := p.send(a, x); err != nil {
		return err
	}
	return p.settle()
}

// send sends x to both, and waits for the twin's answers.
func (p *play) send(a *actor, x step) error {
	list := x.messages
	if a.talk.copying && !x.vanish && !continues(list) {
		list = append(a.talk.closers(), list...)
	}
	list = a.talk.harmless(list)
	a.pinning = slices.ContainsFunc(list, func(m message) bool { return m.pins })
	a.pins = a.pins || a.pinning
	for _, m := range list {
		p.say("%s  %s", a.letter, m)
	}
	bytes := encode(p.life, list)
	cut := min(x.cut, len(bytes))
	for _, l := range []*line{a.client, a.twin} {
		for _, b := range [][]byte{bytes[:cut], bytes[cut:]} {
			if len(b) == 0 {
				continue
			}
			if _, err := l.Write(b); err != nil && !x.vanish {
				return p.fail("%s cannot send: %v", a.letter, err)
			}
		}
	}
	if x.vanish {
		p.say("%s  vanishes", a.letter)
		p.again(a)
		return nil
	}
	a.talk.say(list)
	return p.hear(a)
}

// again has a lose both connections and come back.
func (p *play) again(a *actor) {
	a.client.hangUp()
	a.twin.hangUp()
	a.holds, a.pins = false, false
	p.connect(a)
}

// continues reports whether list goes on with a COPY.
func continues(list []message) bool {
	if len(list) == 0 {
		return false
	}
	switch list[0].FrontendMessage.(type) {
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		return true
	}
	return false
}

// hear has the twin's answers become what the client must hear.
func (p *play) hear(a *actor) error {
	pinned := a.pins
	for a.talk.owed() {
		x, err := p.await(a.twin)
		if err != nil && a.talk.dying {
			a.expected = append(a.expected, theEnd)
			break
		}
		if err != nil {
			return p.fail("%s's twin hears nothing more: %v", a.letter, err)
		}
		a.talk.hear(x)
		a.expected = append(a.expected, x)
		if x.kind() == complete || x.kind() == wire.Error {
			a.pins = a.pins || pinned // whatever was discarded before
		}
		if x.kind() == complete {
			a.completed(x)
		}
	}
	a.sent = len(a.expected) > 0
	return nil
}

// completed notes what a command has done.
func (a *actor) completed(x answer) {
	switch tag := string(x.body()); {
	case tag == "DISCARD ALL\x00":
		a.pins = a.pinning // perhaps after it
	case strings.HasPrefix(tag, "INSERT"), strings.HasPrefix(tag, "COPY"):
		a.wrote = true
	}
}

// await waits for l's next answer.
func (p *play) await(l *line) (answer, error) {
	limit := time.NewTimer(p.patience)
	defer limit.Stop()
	for {
		if x, err := l.take(); x != nil || err != nil {
			return x, err
		}
		select {
		case <-p.stirred:
		case <-limit.C:
			return nil, fmt.Errorf("not within %v", p.patience)
		}
	}
}

// settle waits for the answers that must come: the rule of waiting.
func (p *play) settle() error {
	limit := time.NewTimer(p.patience)
	defer limit.Stop()
	for p.must() {
		moved := false
		for _, a := range p.cast {
			got, err := p.compare(a)
			if err != nil {
				return err
			}
			moved = moved || got
		}
		if moved {
			continue
		}
		select {
		case <-p.stirred:
		case <-limit.C:
			p.stuck()
			return p.fail("no answer in time, although a server must be free")
		}
	}
	return nil
}

// stuck says who waits, and what the relay says of it.
func (p *play) stuck() {
	for _, a := range p.cast {
		if a.sent {
			p.say("%s    waits for: %s", a.letter, a.expected[0])
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), p.patience)
	defer stop()
	pool := p.rig.Pool()
	p.say("  pool: %d servers, %d idle, %d on their way, %d clients wait", pool.Servers, pool.Idle, pool.Dialing, pool.Waiting)
	clients, err := p.rig.Relay().Clients(ctx)
	p.say("  %d clients %v", len(clients), err)
	for _, c := range clients {
		p.say("  client %d %s, server %d, pins %v", c.ID, c.State, c.Server, c.Pins)
	}
	servers, err := p.rig.Relay().Servers(ctx)
	p.say("  %d servers %v", len(servers), err)
	for _, s := range servers {
		p.say("  server %d %s for %d", s.ID, s.State, s.Client)
	}
}

// must reports whether somebody must be answered now.
func (p *play) must() bool {
	sent, held := false, 0
	for _, a := range p.cast {
		if a.sent && a.holds {
			return true
		}
		sent = sent || a.sent
		if a.holds || a.pins && !a.sent {
			held++
		}
	}
	return sent && held < p.servers
}

// compare takes what a's client has heard. When that is all that its twin has heard,
// a goes on with what was put off. It reports whether that happened.
func (p *play) compare(a *actor) (bool, error) {
	if !a.sent {
		return false, nil
	}
	for len(a.expected) > 0 {
		x, err := a.client.take()
		if err != nil && a.expected[0].kind() == theEnd.kind() {
			p.say("%s    %s", a.letter, theEnd)
			a.expected = nil
			p.again(a)
			break
		}
		if err != nil {
			return false, p.fail("%s hears nothing more: %v\n   direct: %s", a.letter, err, a.expected[0])
		}
		if x == nil {
			return false, nil
		}
		a.excuse(x)
		want := a.expected[0]
		if !p.same(x, want) {
			if x.String() == want.String() {
				return false, p.fail("%s    broker: %q\n     direct: %q", a.letter, x, want)
			}
			return false, p.fail("%s    broker: %s\n     direct: %s", a.letter, x, want)
		}
		p.say("%s    %s", a.letter, x)
		a.expected = a.expected[1:]
	}
	a.sent, a.holds = false, a.talk.holds()
	for len(a.later) > 0 && !a.sent {
		x := a.later[0]
		a.later = a.later[1:]
		if err := p.send(a, x); err != nil {
			return false, err
		}
	}
	return true, nil
}

// excuse drops the twin's description of a statement without rows where the client
// hears that the transaction has failed: the broker had to prepare it anew on this
// server, which PostgreSQL refuses then.
func (a *actor) excuse(x answer) {
	if len(a.expected) < 3 || a.expected[0].kind() != 't' || a.expected[1].kind() != 'n' {
		return
	}
	failed := func(x answer) bool {
		return x.kind() == wire.Error && wire.ParseError(x.body()).Code == pgerrcode.InFailedSQLTransaction
	}
	if failed(x) && failed(a.expected[2]) {
		a.expected = a.expected[2:]
	} else if failed(x) {
		a.expected = a.expected[1:]
		a.expected[0] = x
	}
}

// same compares an answer with the twin's.
func (p *play) same(client, twin answer) bool {
	if p.plant.blind && client.kind() == wire.ReadyForQuery && twin.kind() == wire.ReadyForQuery {
		return true
	}
	client, twin = mask(client, twin)
	return bytes.Equal(client, twin)
}

// end has all clients end what they have open, look at their state and discard it,
// and look again.
func (p *play) end() error {
	if err := p.round(func(a *actor) [][]message {
		return [][]message{append(a.talk.closers(), query("rollback", false)), {query(probe, false)}, {query("discard all", false)}}
	}); err != nil {
		return err
	}
	if err := p.round(func(a *actor) [][]message {
		list := []message{query("discard all", false)}
		if a.wrote {
			list = append([]message{query(strings.ReplaceAll(tidy, "{c}", a.letter), false)}, list...)
		}
		a.wrote = false
		return [][]message{{query(probe, false)}, list}
	}); err != nil {
		return err
	}
	for _, a := range p.actors {
		if x, err := a.client.take(); x != nil || err != nil {
			return p.fail("%s hears what it did not ask for: %s %v", a.letter, x, err)
		}
	}
	return nil
}

// round has each client that takes part play its steps: those that hold servers
// first, since the others may wait for these.
func (p *play) round(steps func(*actor) [][]message) error {
	turn := slices.Clone(p.cast)
	for len(turn) > 0 {
		free := slices.DeleteFunc(slices.Clone(turn), func(a *actor) bool { return a.sent })
		if len(free) == 0 {
			return p.fail("nobody has got an answer")
		}
		a := slices.MaxFunc(free, func(a, b *actor) int { return a.claim() - b.claim() })
		turn = slices.DeleteFunc(turn, func(x *actor) bool { return x == a })
		for _, list := range steps(a) {
			if err := p.step(step{client: slices.Index(p.actors[:], a), messages: list}); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim orders clients by how sure it is that they hold a server.
func (a *actor) claim() int {
	switch {
	case a.holds:
		return 2
	case a.pins:
		return 1
	}
	return 0
}

func (p *play) say(format string, args ...any) {
	p.report = append(p.report, fmt.Sprintf(format, args...))
}

func (p *play) fail(format string, args ...any) error {
	p.say(format, args...)
	return errDiffer
}
