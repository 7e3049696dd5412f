package relay

import (
	"sync"

	"github.com/nusajournal/dermaga/broker/poll"
)

// mailbox is the only way into a loop: functions that its goroutine runs between
// two turns. Safe for concurrent use.
type mailbox struct {
	mu     sync.Mutex
	mail   []func(*loop)
	closed bool
	poller *poll.Poller
}

// post leaves f for the loop and wakes it. It reports false when the loop has
// ended and will never run f.
func (m *mailbox) post(f func(*loop)) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.mail = append(m.mail, f)
	first := len(m.mail) == 1
	m.mu.Unlock()
	if first {
		m.poller.Wake()
	}
	return true
}

// take empties the box.
func (m *mailbox) take() []func(*loop) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mail := m.mail
	m.mail = nil
	return mail
}

// close refuses further mail and returns what was left.
func (m *mailbox) close() []func(*loop) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	mail := m.mail
	m.mail = nil
	return mail
}
