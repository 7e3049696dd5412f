package broker_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"

	"github.com/nusajournal/dermaga/broker"
	"github.com/nusajournal/dermaga/internal/fakepg"
	"github.com/nusajournal/dermaga/registry"
)

// withService adds a service login "api" that has a grant for tenant "one".
func withService(t testing.TB, w *town) *town {
	t.Helper()
	e := w.entries[[2]string{"one", "one"}]
	login := &registry.Login{ID: "login-api", Name: "api", Service: true, Kind: registry.App, Verifiers: []string{verifier("service")}}
	w.entries[[2]string{"one", "api"}] = registry.Entry{Login: login, Tenant: e.Tenant, Granted: true, Route: e.Route}
	w.entries[[2]string{"two", "api"}] = registry.Entry{Login: login, Tenant: w.entries[[2]string{"two", "two"}].Tenant}
	w.service["api"] = registry.Entry{Login: login}
	return w
}

// challenge goes as far as the server-first-message and returns its salt and
// iterations.
func challenge(t testing.TB, c *fakepg.Client, user, database string) (salt, iterations string) {
	t.Helper()
	c.Send(fakepg.Start{Pairs: []string{"user", user, "database", database}})
	kind, body := c.Next()
	require.Equal(t, "R", string(kind))
	require.Equal(t, "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00", string(body))
	c.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=clientnonce")})
	kind, body = c.Next()
	require.Equal(t, "R", string(kind))
	fields := strings.Split(string(body[4:]), ",")
	require.Len(t, fields, 3)
	require.True(t, strings.HasPrefix(fields[0], "r=clientnonce"))
	return fields[1], fields[2]
}

func TestWrongNamesAndPasswordsGetOneAnswer(t *testing.T) {
	address := serve(t, withService(t, townOfTwo(t)))
	for name, c := range map[string]struct{ user, database, password string }{
		"wrong password":               {"one", "one", "wrong"},
		"empty password":               {"one", "one", ""},
		"unknown login":                {"nobody", "one", "right"},
		"unknown slug":                 {"one", "nowhere", "right"},
		"another tenant's login":       {"two", "one", "right"},
		"own login, another's slug":    {"one", "two", "right"},
		"reserved name":                {"one", "postgres", "right"},
		"a name too long to be one":    {strings.Repeat("x", 64), "one", "right"},
		"a slug too long to be one":    {"one", strings.Repeat("x", 9000), "right"},
		"a name that is not UTF-8":     {"\xff\xfe", "one", "right"},
		"SQL for a name":               {`one' OR ''='`, "one", "right"},
		"wrong password of a service":  {"api", "one", "wrong"},
		"wrong password, no such slug": {"api", "nowhere", "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fakepg.Dial(t, address)
			failure := client.Login(0, c.password, "user", c.user, "database", c.database)
			require.NotNil(t, failure)
			require.Equal(t, "FATAL", failure.Severity)
			require.Equal(t, "28P01", failure.Code)
			require.Equal(t, "password authentication failed for user "+strconv.Quote(c.user), failure.Message)
			require.Empty(t, failure.Detail)
			require.Empty(t, failure.Hint)
			require.True(t, client.Ended())
		})
	}
}

func TestUnknownNamesHaveSaltsOfTheirOwn(t *testing.T) {
	keys, err := registry.ParseKeys(testKey)
	require.NoError(t, err)
	same := func(c *broker.Config) { c.Keys = keys }
	w := withService(t, townOfTwo(t))
	address, other := serve(t, w, same), serve(t, w, same)

	salts := map[string]string{}
	for _, c := range [][2]string{{"one", "one"}, {"nobody", "one"}, {"nobody", "two"}, {"one", "two"}, {"one", "nowhere"}, {"o", "nenowhere"}} {
		salt, iterations := challenge(t, fakepg.Dial(t, address), c[0], c[1])
		require.Equal(t, "i=4096", iterations)
		raw, err := base64.StdEncoding.DecodeString(salt[2:])
		require.NoError(t, err)
		require.Len(t, raw, 16)
		for who, taken := range salts {
			require.NotEqual(t, taken, salt, "%s and %s", who, c)
		}
		salts[c[0]+"@"+c[1]] = salt

		again, _ := challenge(t, fakepg.Dial(t, address), c[0], c[1])
		require.Equal(t, salt, again, "at the next try")
		elsewhere, _ := challenge(t, fakepg.Dial(t, other), c[0], c[1])
		require.Equal(t, salt, elsewhere, "at another instance with the same key")
	}
}

// A service login's salt must not tell which slugs exist, nor which it may reach.
func TestServiceLoginHasOneSaltEverywhere(t *testing.T) {
	address := serve(t, withService(t, townOfTwo(t)))
	first, _ := challenge(t, fakepg.Dial(t, address), "api", "one")
	for _, slug := range []string{"two", "nowhere", "postgres", strings.Repeat("x", 5000)} {
		salt, _ := challenge(t, fakepg.Dial(t, address), "api", slug)
		require.Equal(t, first, salt, slug)
	}
}

func TestServiceLoginIsToldTheTruthAfterItsProof(t *testing.T) {
	w := withService(t, townOfTwo(t))
	address := serve(t, w)
	require.Nil(t, fakepg.Dial(t, address).Login(0, "service", "user", "api", "database", "one"))
	for _, slug := range []string{"two", "nowhere"} { // not granted, not there: the same
		failure := fakepg.Dial(t, address).Login(0, "service", "user", "api", "database", slug)
		require.NotNil(t, failure)
		require.Equal(t, "3D000", failure.Code)
		require.Equal(t, `database "`+slug+`" does not exist`, failure.Message)
	}
}

func TestOnlyTheExpectedMessageIsReadDuringAuthentication(t *testing.T) {
	address := serve(t, townOfTwo(t))
	announced := func(kind byte, length uint32) []byte {
		return []byte{kind, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
	}
	second, err := fakepg.Start{Pairs: []string{"user", "two", "database", "two"}}.Encode(nil)
	require.NoError(t, err)
	query, err := (&pgproto3.Query{String: "select 1"}).Encode(nil)
	require.NoError(t, err)
	for name, bytes := range map[string][]byte{
		"a second StartupMessage":    second,
		"a query":                    query,
		"an endless message":         announced('p', 1<<31-1),
		"a length above 2^31":        announced('p', 1<<32-1),
		"a length of 0":              announced('p', 0),
		"a length of 3":              announced('p', 3),
		"more than PostgreSQL takes": announced('p', 1024+5),
	} {
		t.Run(name, func(t *testing.T) {
			c := fakepg.Dial(t, address)
			c.Send(fakepg.Start{Pairs: []string{"user", "one"}})
			kind, _ := c.Next()
			require.Equal(t, "R", string(kind))
			c.SendBytes(bytes)
			require.Equal(t, "08P01", c.Refusal().Code)

			c = fakepg.Dial(t, address)
			challenge(t, c, "one", "one")
			c.SendBytes(bytes)
			require.Equal(t, "08P01", c.Refusal().Code, "and at the second message")
		})
	}
}

func TestMalformedSCRAMIsRefused(t *testing.T) {
	address := serve(t, townOfTwo(t))
	long := strings.Repeat("x", 1100)
	first := map[string]string{
		"nothing":                         "",
		"no fields":                       "n",
		"no name":                         "n,,r=abc",
		"no nonce":                        "n,,n=one",
		"an empty nonce":                  "n,,n=,r=",
		"fields out of order":             "n,,r=abc,n=",
		"a doubled nonce":                 "n,,n=,r=abc,r=abc",
		"a doubled name":                  "n,,n=,n=,r=abc",
		"a nonce with a space":            "n,,n=,r=a bc",
		"a nonce that is not ASCII":       "n,,n=,r=\xff\xfe",
		"a NUL":                           "n,,n=,r=abc\x00",
		"an unknown flag":                 "q,,n=,r=abc",
		"channel binding":                 "p=tls-server-end-point,,n=,r=abc",
		"an authorization identity":       "n,a=two,n=,r=abc",
		"a broken identity":               "n,x,n=,r=abc",
		"an extension that must be known": "n,,m=x,n=,r=abc",
		"an extension without a value":    "n,,n=,r=abc,x",
		"a name badly encoded":            "n,,n==zz,r=abc",
		"too long":                        "n,,n=,r=" + long,
	}
	for name, message := range first {
		t.Run("first: "+name, func(t *testing.T) {
			c := fakepg.Dial(t, address)
			c.Send(fakepg.Start{Pairs: []string{"user", "one"}})
			c.Next()
			c.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(message)})
			require.Contains(t, []string{"08P01", "0A000"}, c.Refusal().Code)
		})
	}
	for name, message := range map[string]func(c, r, p string) string{
		"nothing":                   func(_, _, _ string) string { return "" },
		"no binding":                func(_, r, p string) string { return r + "," + p },
		"no nonce":                  func(c, _, p string) string { return c + "," + p },
		"no proof":                  func(c, r, _ string) string { return c + "," + r },
		"an empty proof":            func(c, r, _ string) string { return c + "," + r + ",p=" },
		"an empty nonce":            func(c, _, p string) string { return c + ",r=," + p },
		"an empty binding":          func(_, r, p string) string { return "c=," + r + "," + p },
		"another binding":           func(_, r, p string) string { return "c=eSws," + r + "," + p },
		"another nonce":             func(c, r, p string) string { return c + "," + r + "x," + p },
		"only the client's nonce":   func(c, _, p string) string { return c + ",r=clientnonce," + p },
		"a doubled nonce":           func(c, r, p string) string { return c + "," + r + "," + r + "," + p },
		"a doubled proof":           func(c, r, p string) string { return c + "," + r + "," + p + "," + p },
		"out of order":              func(c, r, p string) string { return r + "," + c + "," + p },
		"a proof that is no base64": func(c, r, _ string) string { return c + "," + r + ",p=!!!" },
		"a short proof":             func(c, r, _ string) string { return c + "," + r + ",p=AAAA" },
		"a long proof":              func(c, r, p string) string { return c + "," + r + ",p=" + strings.Repeat("AAAA", 40) },
		"too long":                  func(c, r, p string) string { return c + "," + r + ",x=" + long + "," + p },
		"a NUL":                     func(c, r, p string) string { return c + "," + r + "\x00," + p },
	} {
		for _, user := range []string{"one", "nobody"} {
			t.Run("final: "+name+" as "+user, func(t *testing.T) {
				c := fakepg.Dial(t, address)
				c.Send(fakepg.Start{Pairs: []string{"user", user, "database", "one"}})
				c.Next()
				binding, nonce, proof := finalFields(t, c, "right")
				c.Send(&pgproto3.SASLResponse{Data: []byte(message(binding, nonce, proof))})
				require.Equal(t, "08P01", c.Refusal().Code)
			})
		}
	}
	require.Nil(t, fakepg.Dial(t, address).Login(0, "right", "user", "one"), "the next client is served")
}

// finalFields are the fields of an honest client-final-message.
func finalFields(t testing.TB, c *fakepg.Client, password string) (binding, nonce, proof string) {
	t.Helper()
	client, err := scram.SHA256.NewClient("", password, "")
	require.NoError(t, err)
	talk := client.WithNonceGenerator(func() string { return "clientnonce" }).NewConversation()
	first, err := talk.Step("")
	require.NoError(t, err)
	c.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(first)})
	_, body := c.Next()
	final, err := talk.Step(string(body[4:]))
	require.NoError(t, err)
	fields := strings.Split(final, ",")
	return fields[0], fields[1], fields[2]
}

func TestExtensionsOfSCRAMAreIgnoredAsRFC5802Wants(t *testing.T) {
	c := fakepg.Dial(t, serve(t, townOfTwo(t)))
	c.Send(fakepg.Start{Pairs: []string{"user", "one"}})
	c.Next()
	c.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("y,,n=somebody,r=abc,x=1,z=y")})
	kind, body := c.Next()
	require.Equal(t, "R", string(kind))
	require.Contains(t, string(body), "r=abc")
}

func TestOtherMechanismsAreRefused(t *testing.T) {
	address := serve(t, townOfTwo(t))
	for name, message := range map[string][]byte{
		"PLUS":                []byte("SCRAM-SHA-256-PLUS\x00\x00\x00\x00\x03n,,"),
		"none":                []byte("\x00\x00\x00\x00\x03n,,"),
		"no terminator":       []byte("SCRAM-SHA-256"),
		"no length":           []byte("SCRAM-SHA-256\x00\x00\x00"),
		"a longer length":     []byte("SCRAM-SHA-256\x00\x00\x00\x00\x50n,,n=,r=abc"),
		"a shorter length":    []byte("SCRAM-SHA-256\x00\x00\x00\x00\x03n,,n=,r=abc"),
		"no first message":    []byte("SCRAM-SHA-256\x00\xff\xff\xff\xff"),
		"a password in clear": []byte("right\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			c := fakepg.Dial(t, address)
			c.Send(fakepg.Start{Pairs: []string{"user", "one"}})
			c.Next()
			c.Send(&pgproto3.SASLResponse{Data: message})
			require.Equal(t, "08P01", c.Refusal().Code)
		})
	}
}

func TestRegistryDownIsSaidWithAHint(t *testing.T) {
	w := townOfTwo(t)
	w.down = true
	failure := fakepg.Dial(t, serve(t, w)).Login(0, "right", "user", "one")
	require.NotNil(t, failure)
	require.Equal(t, "57P03", failure.Code)
	require.NotEmpty(t, failure.Hint)
}
