package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"
)

// While a password is being replaced the one before works too. Both verifiers
// have one salt, which a client is told before it has proven anything.
func TestPasswordsThatShareASaltAreValidSideBySide(t *testing.T) {
	factors := scram.KeyFactors{Salt: "sixteen bytes ok", Iters: 4096}
	stored := func(password string) scram.StoredCredentials {
		client, err := scram.SHA256.NewClient("", password, "")
		require.NoError(t, err)
		c, err := client.GetStoredCredentialsWithError(factors)
		require.NoError(t, err)
		return c
	}
	credentials := []scram.StoredCredentials{stored("new"), stored("old")}
	for password, right := range map[string]bool{"new": true, "old": true, "older": false} {
		client, err := scram.SHA256.NewClient("", password, "")
		require.NoError(t, err)
		c := client.NewConversation()
		first, err := c.Step("")
		require.NoError(t, err)
		x, err := newExchange(credentials...)
		require.NoError(t, err)
		reply, err := x.first([]byte(first))
		require.NoError(t, err)
		last, err := c.Step(reply)
		require.NoError(t, err)
		reply, proven, err := x.final([]byte(last))
		require.NoError(t, err)
		require.Equal(t, right, proven, password)
		if right {
			_, err = c.Step(reply) // the server has proven itself with that password's key
			require.NoError(t, err)
			require.True(t, c.Valid())
		}
	}
}
