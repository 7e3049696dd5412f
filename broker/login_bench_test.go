package broker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/fakepg"
)

// BenchmarkLogin is a connection, a SCRAM exchange and the end, both sides of it
// in one process.
func BenchmarkLogin(b *testing.B) {
	address := serve(b, townOfTwo(b))
	for b.Loop() {
		c := fakepg.Dial(b, address)
		require.Nil(b, c.Login(0, "right", "user", "one"))
		_ = c.Close()
	}
}
