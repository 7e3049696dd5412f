package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load is one kind of work.
type load struct {
	Mode     string `json:"mode"` // pgbench's protocol
	Clients  int    `json:"clients"`
	Connects bool   `json:"connects,omitempty"` // each transaction on a connection of its own
}

func (l load) String() string {
	if l.Connects {
		return fmt.Sprintf("connect + 1 transaction, SCRAM, c=%d", l.Clients)
	}
	return fmt.Sprintf("%s, c=%d", l.Mode, l.Clients)
}

func (o options) loads() []load {
	var all []load
	for _, mode := range o.modes {
		for _, c := range o.clients {
			all = append(all, load{Mode: mode, Clients: c})
		}
	}
	if o.connects {
		all = append(all, load{Mode: "simple", Clients: 8, Connects: true})
	}
	return all
}

// sample is one measurement.
type sample struct {
	tps float64
	cpu time.Duration // of the pooler per transaction; 0 where there is none
}

// runMargin is what a measurement may take beyond its seconds: warming up, the
// last second that is not counted, and the connects before.
const runMargin = 60 * time.Second

// run loads t for some seconds. The first second (connects, the pool's first
// servers) and what comes after are outside: CPU and transactions are both
// taken between pgbench's first progress report and one some seconds later.
func (w *workplace) run(ctx context.Context, t target, l load, seconds int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+runMargin)
	defer cancel()
	args := []string{
		"-n", "-S", "-M", l.Mode, "-c", strconv.Itoa(l.Clients), "-j", strconv.Itoa(min(l.Clients, 2)),
		"-T", strconv.Itoa(seconds + 2), "-P", "1",
		"-h", t.at.host, "-p", t.at.port, "-U", t.at.user, t.at.database,
	}
	if l.Connects {
		args = slices.Insert(args, 0, "-C")
	}
	cmd := exec.CommandContext(ctx, w.pgbench, args...)
	cmd.Env = w.clientEnv()
	report, err := cmd.StderrPipe()
	if err != nil {
		return sample{}, fmt.Errorf("run pgbench: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return sample{}, fmt.Errorf("run pgbench: %w", err)
	}
	s, said, readErr := watch(report, seconds, time.Now, func() (time.Duration, error) {
		if t.pid == 0 {
			return 0, nil
		}
		return cpuTime(t.pid)
	})
	err = cmd.Wait()
	if ctx.Err() != nil {
		return sample{}, fmt.Errorf("pgbench did not end in time: %w: %s", context.Cause(ctx), said)
	}
	if err != nil {
		return sample{}, fmt.Errorf("pgbench: %w: %s", err, said)
	}
	return s, readErr
}

var progress = regexp.MustCompile(`^progress: [\d.]+ s, ([\d.]+) tps`)

// interval is what lies between two progress reports.
type interval struct {
	reports      int
	began, ended time.Time
	cpuBegan     time.Duration
	cpuUsed      time.Duration
	transactions float64
}

// report takes one in. A busy pgbench skips some, so each counts for the time
// since the one before.
func (i *interval) report(now time.Time, tps float64, cpu time.Duration) {
	i.reports++
	if i.reports == 1 {
		i.began, i.cpuBegan = now, cpu
	} else {
		i.transactions += tps * now.Sub(i.ended).Seconds()
	}
	i.ended, i.cpuUsed = now, cpu-i.cpuBegan
}

// full reports whether the interval is as long as asked: reports come within
// some milliseconds of their second.
func (i *interval) full(seconds int) bool {
	return i.ended.Sub(i.began) >= time.Duration(seconds)*time.Second-500*time.Millisecond
}

func (i *interval) sample() (sample, error) {
	if i.transactions == 0 {
		return sample{}, fmt.Errorf("pgbench reported no transactions in %d reports", i.reports)
	}
	return sample{
		tps: i.transactions / i.ended.Sub(i.began).Seconds(),
		cpu: time.Duration(float64(i.cpuUsed) / i.transactions),
	}, nil
}

// watch reads pgbench's reports to their end and takes the sample. said is the
// rest of what pgbench printed, for errors.
func watch(reports io.Reader, seconds int, now func() time.Time, cpu func() (time.Duration, error)) (s sample, said string, err error) {
	var i interval
	var other []string
	lines := bufio.NewScanner(reports)
	for lines.Scan() { // to the end: a full pipe would stop pgbench
		m := progress.FindStringSubmatch(lines.Text())
		switch {
		case m == nil && len(other) < 3:
			other = append(other, lines.Text())
		case m != nil && err == nil && !i.full(seconds):
			tps, _ := strconv.ParseFloat(m[1], 64) // the pattern admits only numbers
			var used time.Duration
			if used, err = cpu(); err == nil {
				i.report(now(), tps, used)
			}
		}
	}
	said = strings.Join(other, "; ")
	if err != nil {
		return sample{}, said, err
	}
	s, err = i.sample()
	return s, said, err
}

// clientEnv is the environment of pgbench: its own settings, no PG* of the
// user's, the passwords in a file.
func (w *workplace) clientEnv() []string {
	return append(cleanEnv(), "PGPASSFILE="+w.passfile, "PGSSLMODE=disable", "LC_ALL=C")
}

// cleanEnv leaves out what would redirect libpq or change Dermaga's defaults.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "DERMAGA_") || slices.Contains(dermagaSettings, name)
	})
}

func (w *workplace) writePassfile(targets []target) error {
	var text strings.Builder
	for _, t := range targets {
		text.WriteString(t.at.passLine())
	}
	return os.WriteFile(w.passfile, []byte(text.String()), 0o600)
}

// passLine is a line of libpq's password file (manual, 34.16).
func (a address) passLine() string {
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
	return strings.Join([]string{a.host, a.port, escape.Replace(a.database), escape.Replace(a.user), escape.Replace(a.password)}, ":") + "\n"
}

func findPgbench(dir string) (string, error) {
	if dir != "" {
		return exec.LookPath(filepath.Join(dir, "pgbench"))
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) }), nil
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return "", fmt.Errorf("pgbench is needed: apt install postgresql, or name its folder with -pgbench-bin: %w", err)
	}
	return path, nil
}

// major is the version in a path such as /usr/lib/postgresql/15/bin/pgbench.
func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}
