package broker

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func from(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }

func TestWrongCancelsAreBoundedByAddress(t *testing.T) {
	c := newCancels()
	tried := 0
	for c.may(from("192.0.2.1")) && tried < 10*wrongAtOnce {
		c.wrong(from("192.0.2.1"))
		tried++
	}
	require.InDelta(t, wrongAtOnce, tried, 2)
	require.True(t, c.may(from("192.0.2.2")), "others are not meant")

	c.from[c.place(from("192.0.2.1"))].at = time.Now().Add(-time.Second)
	require.True(t, c.may(from("192.0.2.1")), "a second later some are looked at again")
}

// Whoever has one IPv6 address has its whole network.
func TestWrongCancelsAreBoundedByNetwork(t *testing.T) {
	c := newCancels()
	for n := range 2 * wrongAtOnce {
		c.wrong(from(fmt.Sprintf("2001:db8::%x", n+1)))
	}
	require.False(t, c.may(from("2001:db8::ffff")))
	require.True(t, c.may(from("2001:db8:1::1")))
	require.Len(t, c.from, 1)
}

func TestAddressesOfWrongCancelsAreBounded(t *testing.T) {
	c := newCancels()
	for n := range maxAddresses + 100 {
		c.wrong(from(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255)))
	}
	require.LessOrEqual(t, len(c.from), maxAddresses+1)
}
