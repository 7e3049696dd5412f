package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// makePeers is `bench peers`: a small Debian in a folder, with the poolers.
func makePeers(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("bench peers", flag.ContinueOnError)
	root := f.String("root", filepath.Join("bench", "peers", "root"), "folder to make")
	suite := f.String("suite", "forky", "Debian suite: forky has PgBouncer 1.26 and Odyssey 1.5")
	mirror := f.String("mirror", "", "Debian mirror; empty: debootstrap's own choice")
	if err := f.Parse(args); err != nil {
		return err
	}
	if has(*root, pgbouncerProgram) && has(*root, odysseyProgram) {
		fmt.Println(*root, "is there already")
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("debootstrap needs root")
	}
	tool, err := exec.LookPath("debootstrap")
	if err != nil {
		return fmt.Errorf("apt install debootstrap: %w", err)
	}
	// An unfinished folder of before cannot be continued.
	if err := os.RemoveAll(*root); err != nil {
		return fmt.Errorf("remove unfinished %s: %w", *root, err)
	}
	// A debootstrap older than the suite has no script of its name; all of them
	// are links to sid's.
	const script = "/usr/share/debootstrap/scripts/sid"
	cmd := exec.CommandContext(ctx, tool, "--variant=minbase", "--include=pgbouncer,odyssey,postgresql-18",
		*suite, *root, *mirror, script)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("debootstrap (its log: %s/debootstrap/debootstrap.log): %w", *root, err)
	}
	return nil
}

// The poolers' places below the peers' root.
const (
	pgbouncerProgram = "usr/sbin/pgbouncer"
	odysseyProgram   = "usr/bin/odyssey"
)

func has(root, program string) bool {
	_, err := os.Stat(filepath.Join(root, program))
	return err == nil
}

// peer is a pooler's program: on this machine, or in the peers' root.
type peer struct {
	path string // as its own root sees it
	root string // "" or the peers' root
	user syscall.Credential
	drop bool
}

// findPeer takes the binary of the flag, or the one in the peers' root.
func (o options) findPeer(flagged, inRoot string) (peer, error) {
	if flagged != "" {
		p := peer{path: flagged}
		return p, p.runAs("/etc/passwd")
	}
	root, err := filepath.Abs(o.peersRoot)
	if err != nil {
		return peer{}, err
	}
	if !has(root, inRoot) {
		return peer{}, fmt.Errorf("%w: %s is not in %s: `go run ./bench peers` makes it, or name a binary by its flag",
			errNotFound, filepath.Base(inRoot), o.peersRoot)
	}
	if os.Geteuid() != 0 {
		return peer{}, fmt.Errorf("%w: only root can run what is in %s", errNotFound, o.peersRoot)
	}
	p := peer{path: "/" + inRoot, root: root}
	return p, p.runAs(filepath.Join(root, "etc", "passwd"))
}

// runAs takes the user postgres from a passwd file: PgBouncer refuses root.
func (p *peer) runAs(passwd string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	text, err := os.ReadFile(passwd)
	if err != nil {
		return fmt.Errorf("find user postgres: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, ":")
		if fields[0] != "postgres" || len(fields) < 4 {
			continue
		}
		uid, err1 := strconv.ParseUint(fields[2], 10, 32)
		gid, err2 := strconv.ParseUint(fields[3], 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("find user postgres: %w", err)
		}
		p.user, p.drop = syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}, true
		return nil
	}
	return fmt.Errorf("there is no user postgres in %s to run %s as", passwd, p.path)
}

func (p peer) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.path, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
	if p.drop {
		cmd.SysProcAttr.Credential = &p.user
	}
	return cmd
}

// version is the first line of --version.
func (p peer) version() string {
	out, err := p.command("--version").CombinedOutput()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// folder makes a place for the peer's settings that it can read, and returns it
// as this process and as the peer sees it.
func (w *workplace) folder(p peer, name string) (outside, inside string, err error) {
	parent := w.dir
	if p.root != "" {
		parent = filepath.Join(p.root, "tmp")
	}
	if outside, err = os.MkdirTemp(parent, "bench-"+name+"-"); err != nil {
		return "", "", fmt.Errorf("make folder for %s: %w", name, err)
	}
	w.atClose(func() error { return os.RemoveAll(outside) })
	if p.drop {
		if err := os.Chown(outside, int(p.user.Uid), int(p.user.Gid)); err != nil {
			return "", "", fmt.Errorf("make folder for %s: %w", name, err)
		}
	}
	return outside, strings.TrimPrefix(outside, p.root), nil
}

// write puts a settings file, which holds secrets, where only the peer reads it.
func (p peer) write(file, text string) error {
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	if !p.drop {
		return nil
	}
	return os.Chown(file, int(p.user.Uid), int(p.user.Gid))
}
