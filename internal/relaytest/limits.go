package relaytest

import (
	"sync/atomic"
	"time"

	"github.com/nusajournal/dermaga/broker/relay"
)

// everyone lets any number of tenants and servers be open.
type everyone struct{ pressed atomic.Bool }

func (*everyone) Take(t *relay.Tenant)                           { t.Granted() }
func (*everyone) Give(*relay.Tenant)                             {}
func (*everyone) Open(p *relay.Pool)                             { p.Granted() }
func (*everyone) Close(*relay.Pool)                              {}
func (*everyone) Closing(*relay.Pool) func()                     { return func() {} }
func (e *everyone) Pressed() *atomic.Bool                        { return &e.pressed }
func (*everyone) Yield(*relay.Pool, time.Duration) relay.Verdict { return relay.Keep }
func (*everyone) Stays(*relay.Tenant)                            {}
func (*everyone) Retry()                                         {}
