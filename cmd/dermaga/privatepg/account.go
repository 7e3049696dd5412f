package privatepg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// account is the user that PostgreSQL runs as. The zero value is the caller's
// own user.
type account struct {
	name   string
	uid    uint32
	gid    uint32
	groups []uint32
	drop   bool // the caller is root and becomes this user in the child
}

// stand-ins for root, in order of preference.
var unprivileged = []string{"postgres", "nobody"}

// settle makes the data folder, decides which user the server runs as, and sees
// to it that this user owns the folder and can reach it.
func settle(data string) (account, error) {
	if err := os.MkdirAll(filepath.Dir(data), 0o755); err != nil {
		return account{}, fmt.Errorf("make data folder: %w", err)
	}
	if err := os.Mkdir(data, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return account{}, fmt.Errorf("make data folder: %w", err)
	}
	if err := oursOrEmpty(data); err != nil {
		return account{}, err
	}
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	a, err := accountFor(clusterDir(data))
	if err != nil {
		return account{}, err
	}
	if err := os.Chown(data, int(a.uid), int(a.gid)); err != nil {
		return account{}, fmt.Errorf("give data folder to user %s: %w", a.name, err)
	}
	if err := a.reaches(data); err != nil {
		return account{}, fmt.Errorf("%w; choose a data folder that it can reach, such as /var/lib/dermaga", err)
	}
	return a, nil
}

// oursOrEmpty refuses a folder with other things in it: it would be taken from
// its owner and closed to everybody else.
func oursOrEmpty(data string) error {
	entries, err := os.ReadDir(data)
	if err != nil {
		return fmt.Errorf("look into the data folder: %w", err)
	}
	for _, e := range entries {
		if !slices.Contains(contents, e.Name()) {
			return fmt.Errorf("data folder %s holds %s, which is not the server's: choose an empty folder", data, e.Name())
		}
	}
	return nil
}

// accountFor keeps the owner that a cluster already has; a new one gets the
// first of the unprivileged users that exists.
func accountFor(cluster string) (account, error) {
	if info, err := os.Stat(cluster); err == nil {
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
			u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
			if err != nil {
				return account{}, fmt.Errorf("owner of %s: %w", cluster, err)
			}
			return newAccount(u)
		}
	}
	for _, name := range unprivileged {
		if u, err := user.Lookup(name); err == nil {
			return newAccount(u)
		}
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody: " +
		"start dermaga as another user, or make one (useradd --system postgres)")
}

func newAccount(u *user.User) (account, error) {
	a := account{name: u.Username, drop: true}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	a.uid, a.gid = uint32(uid), uint32(gid)
	ids, err := u.GroupIds()
	if err != nil {
		return account{}, fmt.Errorf("groups of user %s: %w", u.Username, err)
	}
	for _, id := range ids {
		if g, err := strconv.ParseUint(id, 10, 32); err == nil {
			a.groups = append(a.groups, uint32(g))
		}
	}
	return a, nil
}

// reaches reports the first folder on the way to path that a may not enter.
func (a account) reaches(path string) error {
	if !a.drop {
		return nil
	}
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		if !a.mayEnter(info) {
			return fmt.Errorf("user %s, which PostgreSQL runs as instead of root, cannot reach %s: %s is %s",
				a.name, path, dir, info.Mode())
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// mayEnter applies the execute bit as path_resolution(7) tells it.
func (a account) mayEnter(info fs.FileInfo) bool {
	owner := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case owner.Uid == a.uid:
		return mode&0o100 != 0
	case owner.Gid == a.gid || slices.Contains(a.groups, owner.Gid):
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

// own gives path to the account.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// attributes make a child run as the account, in a process group of its own:
// Ctrl-C at a terminal is for the owner, who ends the server when it is time.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}
	}
	endWithParent(attr)
	return attr
}
