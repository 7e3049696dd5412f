package relaytest

import (
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
)

// Everyone lets any number of tenants and servers be open.
type Everyone struct{ pressed atomic.Bool }

func (*Everyone) Take(t *relay.Tenant)                           { t.Granted() }
func (*Everyone) Give(*relay.Tenant)                             {}
func (*Everyone) Open(p *relay.Pool)                             { p.Granted() }
func (*Everyone) Close(*relay.Pool)                              {}
func (*Everyone) Closing(*relay.Pool) func()                     { return func() {} }
func (e *Everyone) Pressed() *atomic.Bool                        { return &e.pressed }
func (*Everyone) Yield(*relay.Pool, time.Duration) relay.Verdict { return relay.Keep }
func (*Everyone) Stays(*relay.Tenant)                            {}
func (*Everyone) Retry()                                         {}
