package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// What a data folder contains.
const (
	clusterName = "cluster"
	draftName   = "cluster.new" // an initdb's, while it runs
	pwfileName  = "pwfile"      // likewise
	logName     = "server.log"
	oldLogName  = "server.log.1"
)

var contents = []string{clusterName, draftName, pwfileName, logName, oldLogName}

func clusterDir(data string) string { return filepath.Join(data, clusterName) }

// clusterMajor is the major version that the folder's cluster was made by, 0
// when there is none yet.
func clusterMajor(data string) int {
	text, err := os.ReadFile(filepath.Join(clusterDir(data), "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return major
}

// ensureCluster runs initdb when the folder has no cluster. It works beside the
// final place and renames at the end: a cluster that exists is complete.
func ensureCluster(ctx context.Context, set binaries, owner account, data string, cfg Config) error {
	if clusterMajor(data) != 0 {
		return nil
	}
	draft := filepath.Join(data, draftName)
	if err := os.RemoveAll(draft); err != nil { // of an initdb that was killed
		return fmt.Errorf("remove unfinished cluster: %w", err)
	}
	password, err := passwordFile(data, owner, cfg.Password)
	if err != nil {
		return err
	}
	defer os.Remove(password)

	args := append(initdbArgs(set.major), "-D", draft, "--pwfile", password)
	if cfg.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, set.initdb(), args...)
	cmd.SysProcAttr, cmd.Env, cmd.Dir = owner.attributes(), childEnv(), data
	cfg.Log.Info("making a PostgreSQL cluster", "data", data, "bin", set.dir)
	if out, err := onLockedThread(cmd.CombinedOutput); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(draft, clusterDir(data)); err != nil {
		return fmt.Errorf("put cluster in place: %w", err)
	}
	return nil
}

// initdbArgs ask for UTF-8 that sorts by code point, whatever the machine's own
// locale is: PostgreSQL 17 brings that locale itself, before it is the libc's.
func initdbArgs(major int) []string {
	args := []string{"-U", superuser, "-A", "scram-sha-256", "--encoding=UTF8", "--no-instructions"}
	switch {
	case major >= 17:
		return append(args, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	case runtime.GOOS == "linux":
		return append(args, "--locale=C.UTF-8")
	}
	return append(args, "--locale=C")
}

// passwordFile hands the password to initdb: an argument would show in ps.
func passwordFile(data string, owner account, password string) (string, error) {
	file := filepath.Join(data, pwfileName)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("remove old password file: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("write password file: %w", err)
	}
	_, err = f.WriteString(password + "\n")
	if err := errors.Join(err, f.Close(), owner.own(file)); err != nil {
		os.Remove(file)
		return "", fmt.Errorf("write password file: %w", err)
	}
	return file, nil
}
