package poll

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Token names a registered descriptor in an event. Slots are used again, so the
// generation tells an event of the old descriptor from one of the new.
type Token struct {
	Slot, Gen uint32
}

// wakeSlot marks events of the Poller's own eventfd.
const wakeSlot = ^uint32(0)

// Event says what may be done with a descriptor without blocking.
type Event struct {
	Token    Token
	Readable bool // bytes, an end of file or an error wait to be read
	Writable bool
	Ended    bool // the peer will send no more: an end of file waits behind the bytes
	Broken   bool // both directions are gone, or the socket has an error
}

// A Poller reports readiness of the descriptors of one loop. Owned by that
// loop; only Wake is safe from elsewhere.
type Poller struct {
	epoll, wake int
	raw         [256]unix.EpollEvent
}

// New makes a Poller with its wake-up registered.
func New() (*Poller, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &Poller{epoll: ep, wake: wake}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1}
	ev.Pad = -1
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, wake, &ev); err != nil {
		p.Close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return p, nil
}

// Add registers fd once and for all, edge-triggered in both directions. Closing
// the descriptor takes it out again, if it was its only copy.
func (p *Poller) Add(fd int, t Token) error {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(t.Slot), Pad: int32(t.Gen),
	}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// Wait fills events with what is ready and returns how many there are, and
// whether somebody called Wake. It looks without blocking first. When there is
// nothing it waits up to timeout milliseconds (-1: for ever) by a Syscall, which
// lets the garbage collector stop the world meanwhile: with RawSyscall one idle
// loop keeps runtime.GC from ever finishing.
func (p *Poller) Wait(events []Event, timeout int) (n int, woken bool, err error) {
	got, errno := p.wait(0)
	if got == 0 && errno == 0 && timeout != 0 {
		r, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.raw[0])),
			uintptr(min(len(p.raw), len(events))), uintptr(timeout), 0, 0)
		got, errno = int(r), e
	}
	if errno == unix.EINTR {
		return 0, false, nil
	}
	if errno != 0 {
		return 0, false, os.NewSyscallError("epoll_wait", errno)
	}
	for _, ev := range p.raw[:got] {
		if uint32(ev.Fd) == wakeSlot {
			woken = true
			continue
		}
		events[n] = Event{
			Token:    Token{uint32(ev.Fd), uint32(ev.Pad)},
			Readable: ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Writable: ev.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Ended:    ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Broken:   ev.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0,
		}
		n++
	}
	return n, woken, nil
}

// wait looks without blocking, outside the scheduler's sight: it returns at once.
func (p *Poller) wait(timeout int) (int, unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.raw[0])),
		uintptr(len(p.raw)), uintptr(timeout), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// MaxEvents is the length that Wait's events must have.
const MaxEvents = 256

// Wake makes a Wait that is under way, or the next one, return. Safe for
// concurrent use.
func (p *Poller) Wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.wake, one[:]) // full means that it is already awake
}

// Woken forgets the wake-ups so far: call it before looking at what they announced.
func (p *Poller) Woken() {
	var n [8]byte
	_, _ = unix.Read(p.wake, n[:])
}

// Close gives the Poller's own descriptors back.
func (p *Poller) Close() error {
	return errors.Join(unix.Close(p.wake), unix.Close(p.epoll))
}
