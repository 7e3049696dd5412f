package session_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/examples/journal-api/session"
)

const password = "correct horse battery"

var key = bytes.Repeat([]byte("k"), 32)

// hashes are made once for all tests: each takes a core a while.
var hashes sync.Map

func hash(t *testing.T, password string) session.Hash {
	t.Helper()
	once, _ := hashes.LoadOrStore(password, sync.OnceValues(func() (session.Hash, error) { return session.HashPassword(password) }))
	h, err := once.(func() (session.Hash, error))()
	require.NoError(t, err)
	return h
}

func users(t *testing.T, list ...session.User) *session.Users {
	t.Helper()
	u, err := session.NewUsers(list)
	require.NoError(t, err)
	return u
}

func tokens(t *testing.T, u *session.Users) *session.Tokens {
	t.Helper()
	tk, err := session.NewTokens(key, u)
	require.NoError(t, err)
	return tk
}

func TestAHashIsOfItsPasswordOnlyAndIsNotPrinted(t *testing.T) {
	t.Parallel()
	h := hash(t, password)
	require.True(t, h.Matches(password))
	require.False(t, h.Matches(password+" "))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", h, h, h, h), "pbkdf2")

	text, err := json.Marshal(h)
	require.NoError(t, err)
	var back session.Hash
	require.NoError(t, json.Unmarshal(text, &back))
	require.True(t, back.Matches(password))

	again, err := session.HashPassword(password)
	require.NoError(t, err)
	other, err := json.Marshal(again)
	require.NoError(t, err)
	require.NotEqual(t, string(text), string(other), "each has its own salt")
	_, err = session.HashPassword("short")
	require.ErrorContains(t, err, "fewer than 12")
	for _, weak := range []string{"", "pbkdf2-sha256$1000$AAAAAAAAAAAAAAAAAAAAAA$AAAA", "md5$600000$a$b", "pbkdf2-sha256$600000$$"} {
		require.Error(t, back.UnmarshalText([]byte(weak)), weak)
	}
}

func TestLoginTellsNobodyWhichHalfWasWrong(t *testing.T) {
	t.Parallel()
	u := users(t, session.User{Email: " Siti@Example.com", Password: hash(t, password), Tenants: []string{"demo"}})
	siti, err := u.Login(t.Context(), "SITI@example.com ", password)
	require.NoError(t, err)
	require.Equal(t, "siti@example.com", siti.Email)
	for _, c := range [][2]string{{"siti@example.com", "wrong"}, {"budi@example.com", password}, {"", strings.Repeat(" ", 12)}} {
		_, err := u.Login(t.Context(), c[0], c[1])
		require.Equal(t, session.ErrLogin, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 { // of a turn that is free and a caller who has left, select takes either
		if _, err = u.Login(gone, "siti@example.com", "wrong"); err != session.ErrLogin {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
}

func TestATokenEndsWithItsTimeItsPasswordAndItsUser(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 8, 0, 0, 0, time.UTC)
	siti := session.User{Email: "siti@example.com", Password: hash(t, password), Tenants: []string{"demo", "pt-media-nusa"}}
	tk := tokens(t, users(t, siti))
	token, _ := tk.Issue(siti, now)

	s, err := tk.Check(token, now.Add(session.Life-time.Second))
	require.NoError(t, err)
	require.Equal(t, "siti@example.com", s.Email)
	require.True(t, s.May("demo"))
	require.False(t, s.May("other"))
	_, err = tk.Check(token, now.Add(session.Life))
	require.Equal(t, session.ErrToken, err)

	fewer := siti
	fewer.Tenants = []string{"pt-media-nusa", "new"}
	s, err = tokens(t, users(t, fewer)).Check(token, now)
	require.NoError(t, err)
	require.Equal(t, []string{"pt-media-nusa"}, s.Tenants, "only what was granted then and is now")

	changed := siti
	changed.Password = hash(t, password+" new")
	for _, later := range []*session.Users{users(t, changed), users(t)} {
		_, err = tokens(t, later).Check(token, now)
		require.Equal(t, session.ErrToken, err)
	}
	other, err := session.NewTokens(bytes.Repeat([]byte("o"), 32), users(t, siti))
	require.NoError(t, err)
	_, err = other.Check(token, now)
	require.Equal(t, session.ErrToken, err)
	_, err = session.NewTokens(key[:31], users(t))
	require.ErrorContains(t, err, "at least 32")
}

func TestATokenThatWasTouchedIsNoToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 8, 0, 0, 0, time.UTC)
	siti := session.User{Email: "siti@example.com", Password: hash(t, password), Tenants: []string{"demo"}}
	tk := tokens(t, users(t, siti))
	token, _ := tk.Issue(siti, now)
	payload, signature, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	require.NoError(t, err)
	forged := base64.RawURLEncoding.EncodeToString(bytes.Replace(text, []byte(`"demo"`), []byte(`"else"`), 1))
	for _, bad := range []string{
		"", ".", payload, payload + ".", "." + signature, forged + "." + signature, token + "A", token[:len(token)-2], "\x00." + signature,
	} {
		_, err := tk.Check(bad, now)
		require.Equal(t, session.ErrToken, err, bad)
	}
}

func TestTheFileOfUsersIsForItsOwnerAndSaysWhatIsWrongInIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.json")
	list, err := session.ReadUsers(path)
	require.NoError(t, err)
	list = session.Put(list, session.User{Email: "Siti@example.com", Password: hash(t, password), Tenants: []string{"demo"}})
	list = session.Put(list, session.User{Email: "siti@Example.com", Password: hash(t, password+"2"), Tenants: []string{"a", "demo"}})
	require.NoError(t, session.WriteUsers(path, list))
	mode, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), mode.Mode().Perm())

	list, err = session.ReadUsers(path)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, []string{"a", "demo"}, list[0].Tenants)
	require.True(t, list[0].Password.Matches(password+"2"))

	_, err = session.NewUsers([]session.User{{Email: "siti", Tenants: []string{"No"}}, list[0], list[0]})
	require.ErrorContains(t, err, "not an e-mail address")
	require.ErrorContains(t, err, "is there twice")
	require.ErrorContains(t, err, `slug "No"`)
}
