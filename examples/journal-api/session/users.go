package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nusajournal/dermaga/registry/slug"
)

// A User may log in, and then work in the companies of Tenants.
type User struct {
	Email    string   `json:"email"`
	Password Hash     `json:"password"`
	Tenants  []string `json:"tenants"` // slugs
}

// Users are those who may log in. Safe for concurrent use.
type Users struct {
	byEmail map[string]User
	nobody  Hash          // is checked for an unknown address, so that it takes as long
	turn    chan struct{} // a hash costs a core: no more of them at once than this has room
}

// maxHashing passwords are checked at once. Others wait their turn, or until their
// request ends.
const maxHashing = 2

// ErrLogin says that there is no such user or that the password is wrong, and
// not which.
var ErrLogin = errors.New("e-mail address or password is wrong")

// NewUsers checks all users and returns every fault.
func NewUsers(list []User) (*Users, error) {
	u := &Users{make(map[string]User, len(list)), nobodys(), make(chan struct{}, maxHashing)}
	var faults []error
	for _, user := range list {
		user.Email = normal(user.Email)
		_, twice := u.byEmail[user.Email]
		switch {
		case !strings.Contains(user.Email, "@"):
			faults = append(faults, fmt.Errorf("user %q: not an e-mail address", user.Email))
		case twice:
			faults = append(faults, fmt.Errorf("user %s: is there twice", user.Email))
		case user.Password.key == nil:
			faults = append(faults, fmt.Errorf("user %s: has no password", user.Email))
		}
		for _, tenant := range user.Tenants {
			if err := slug.Check(tenant); err != nil {
				faults = append(faults, fmt.Errorf("user %s: %w", user.Email, err))
			}
		}
		u.byEmail[user.Email] = user
	}
	return u, errors.Join(faults...)
}

func normal(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// ReadUsers reads the file that WriteUsers writes. A file that is not there is
// one without users.
func ReadUsers(path string) ([]User, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []User
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&list); err != nil {
		return nil, fmt.Errorf("users in %s: %w", path, err)
	}
	return list, nil
}

// WriteUsers puts the users into the file, for its owner's eyes only. It is
// never there by half.
func WriteUsers(path string, list []User) error {
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".users-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	_, err = next.Write(append(text, '\n'))
	if err := errors.Join(err, next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}

// Put returns the users with u instead of, or beside, those who were there. The
// tenants are added to those that u had.
func Put(list []User, u User) []User {
	u.Email = normal(u.Email)
	list = slices.Clone(list)
	i := slices.IndexFunc(list, func(o User) bool { return normal(o.Email) == u.Email })
	if i < 0 {
		return append(list, u)
	}
	u.Tenants = append(slices.Clone(list[i].Tenants), u.Tenants...)
	slices.Sort(u.Tenants)
	u.Tenants = slices.Compact(u.Tenants)
	list[i] = u
	return list
}

// Login checks a password. The error is ErrLogin, or that of ctx.
func (u *Users) Login(ctx context.Context, email, password string) (User, error) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return User{}, context.Cause(ctx)
	}
	user, known := u.byEmail[normal(email)]
	if !known {
		user.Password = u.nobody
	}
	if !user.Password.Matches(password) || !known {
		return User{}, ErrLogin
	}
	return user, nil
}
