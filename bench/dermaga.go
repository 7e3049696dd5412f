package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	tenant         = "bench"
	tenantDatabase = "nusa_journal_bench"
	startLimit     = 2 * time.Minute
)

// dermagaSettings are the variables without a prefix that it listens to.
var dermagaSettings = []string{
	"REGISTRY_DATABASE_URL", "DATABASE_URL", "TENANT_DB_HOST", "TENANT_DB_PORT",
	"ENCRYPTION_KEY", "MAX_CONNECTIONS", "CONNECTION_TTL",
}

// devInfo is the part of dev's info file that the bench needs.
type devInfo struct {
	Admin      string `json:"admin"`
	AdminToken string `json:"admin_token"`
	ServerURL  string `json:"server_url"`
	PID        int    `json:"pid"`
}

// startDermaga runs `dermaga dev` with its defaults, makes a tenant, and
// returns it with the superuser's address of its PostgreSQL.
func (w *workplace) startDermaga(ctx context.Context, o options) (*target, address, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	binary, err := w.buildDermaga(ctx, o)
	if err != nil {
		return nil, address{}, err
	}
	info, err := w.runDev(ctx, binary, o)
	if err != nil {
		return nil, address{}, fmt.Errorf("dermaga dev: %w", err)
	}
	superuser, err := parseURL(info.ServerURL)
	if err != nil {
		return nil, address{}, err
	}
	at, err := createTenant(ctx, binary, info, o)
	if err != nil {
		return nil, address{}, fmt.Errorf("dermaga tenant create: %w", err)
	}
	version, err := exec.CommandContext(ctx, binary, "version").Output()
	if err != nil {
		return nil, address{}, fmt.Errorf("dermaga version: %w", err)
	}
	line, _, _ := strings.Cut(string(version), "\n")
	return &target{name: dermaga, version: line, at: at, pid: info.PID}, superuser, nil
}

func (w *workplace) buildDermaga(ctx context.Context, o options) (string, error) {
	if o.dermaga != "" {
		return filepath.Abs(o.dermaga)
	}
	binary := filepath.Join(w.dir, "dermaga")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/dermaga").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build dermaga: %w: %s", err, out)
	}
	return binary, nil
}

func (w *workplace) runDev(ctx context.Context, binary string, o options) (devInfo, error) {
	listen, err := freePort()
	if err != nil {
		return devInfo{}, err
	}
	admin, err := freePort()
	if err != nil {
		return devInfo{}, err
	}
	file := filepath.Join(w.dir, "dev.json")
	cmd := exec.Command(binary, "dev", "--data", filepath.Join(w.dir, "dev"), "--info", file,
		"--listen", net.JoinHostPort("127.0.0.1", listen), "--admin-listen", net.JoinHostPort("127.0.0.1", admin))
	cmd.Env = cleanEnv()
	if o.serverURL != "" {
		cmd.Env = append(cmd.Env, "DERMAGA_SERVER_URL="+o.serverURL) // not a flag: it has a password
	}
	child, err := w.start(dermaga, cmd)
	if err != nil {
		return devInfo{}, err
	}
	var info devInfo
	err = child.until(ctx, func() bool {
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &info) == nil
	})
	if err == nil && info.PID != child.pid() {
		err = fmt.Errorf("its info file names process %d, but it is %d", info.PID, child.pid())
	}
	return info, err
}

// createTenant makes a tenant with the pool size that the peers have, and no
// client limit below the largest client count.
func createTenant(ctx context.Context, binary string, info devInfo, o options) (address, error) {
	cmd := exec.CommandContext(ctx, binary, "tenant", "create", tenant,
		"--pool-size", strconv.Itoa(o.pool), "--max-clients", "2000", "--json")
	cmd.Env = append(cleanEnv(), "DERMAGA_ADMIN_URL="+info.Admin, "DERMAGA_TOKEN="+info.AdminToken)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return address{}, err
	}
	var made struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return address{}, fmt.Errorf("its answer: %w", err)
	}
	return parseURL(made.URL)
}
