package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestDefaultsMeasureEverybodyAtTheFourClientCounts(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, everyone, o.targets)
	var names []string
	for _, l := range o.loads() {
		names = append(names, l.String())
	}
	require.Equal(t, []string{
		"simple, c=1", "simple, c=8", "simple, c=64", "simple, c=400", "connect + 1 transaction, SCRAM, c=8",
	}, names)
}

func TestEveryWrongFlagIsNamed(t *testing.T) {
	_, err := parse([]string{"-targets", "pgpool", "-modes", "magic", "-clients", "0", "-rounds", "0"}, io.Discard)
	for _, fault := range []string{`"pgpool"`, `"magic"`, "-clients", "-rounds 0"} {
		require.ErrorContains(t, err, fault)
	}
	_, err = parse([]string{"-clients", "many"}, io.Discard)
	require.ErrorContains(t, err, "-clients many")
}

// clock is a time that goes on by itself, as far as told, at each look.
func clock(steps ...time.Duration) func() time.Time {
	now := time.Unix(0, 0)
	return func() time.Time {
		now = now.Add(steps[0])
		steps = steps[1:]
		return now
	}
}

// charging is a process that uses 10 ms of CPU from one look to the next.
func charging() (time.Duration, error) {
	charged += 10 * time.Millisecond
	return charged, nil
}

var charged time.Duration

func TestOnlyWhatLiesBetweenTheFirstReportAndTheLastOneOfTheTimeCounts(t *testing.T) {
	report := strings.Join([]string{
		"pgbench (15.18)",
		"progress: 1.0 s, 50.0 tps, lat 1.0 ms stddev 0.1, 0 failed", // warming up
		"progress: 2.0 s, 1000.0 tps, lat 1.0 ms stddev 0.1, 0 failed",
		"progress: 3.0 s, 3000.0 tps, lat 1.0 ms stddev 0.1, 0 failed",
		"progress: 4.0 s, 9.0 tps, lat 1.0 ms stddev 0.1, 0 failed", // winding down
	}, "\n")
	s, said, err := watch(strings.NewReader(report), 2, clock(time.Second, time.Second, time.Second), charging)
	require.NoError(t, err)
	require.Equal(t, "pgbench (15.18)", said)
	require.InDelta(t, 2000, s.tps, 0.01)
	require.Equal(t, 5*time.Microsecond, s.cpu)
}

func TestReportThatComesLateCountsForAllTheTimeBeforeIt(t *testing.T) {
	report := "progress: 1.0 s, 50.0 tps\nprogress: 4.0 s, 1000.0 tps\nprogress: 5.0 s, 2000.0 tps\n"
	s, _, err := watch(strings.NewReader(report), 4, clock(time.Second, 3*time.Second, time.Second), charging)
	require.NoError(t, err)
	require.InDelta(t, 5000/4., s.tps, 0.01)
	require.Equal(t, 4*time.Microsecond, s.cpu)
}

func TestOneReportIsNoMeasurement(t *testing.T) {
	_, said, err := watch(strings.NewReader("progress: 1.0 s, 50.0 tps\nconnection lost\n"), 4, time.Now, charging)
	require.ErrorContains(t, err, "no transactions in 1 reports")
	require.Equal(t, "connection lost", said)
}

func TestCPUOfAProcessIsWhatTheKernelChargesIt(t *testing.T) {
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	charged := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	used, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	require.GreaterOrEqual(t, used, charged)
	require.InDelta(t, charged, used, float64(time.Second))

	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	_, err = cpuTime(gone.Process.Pid)
	require.Error(t, err)
}

func TestOverlappingRangesAreATie(t *testing.T) {
	peer := &series{CPU: []float64{20, 21, 24}, TPS: []float64{1000, 1100, 1200}}
	cells := (&series{CPU: []float64{10, 11, 12}, TPS: []float64{1150, 1300, 1250}}).cells(peer)
	require.Equal(t, " 11.00 (10.00–12.00) | 0.52 | 1,250 (1,150–1,300) | 1.14, tie |", cells)
	require.Equal(t, 15.0, median([]float64{20, 10}))
}

func TestTableSaysWhatIsMissingAndWhy(t *testing.T) {
	r := result{
		Taken: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), Machine: "2 × CPU, Linux 6", Server: "PostgreSQL 15.18",
		Versions: map[string]string{direct: "PostgreSQL 15.18", pgbouncer: "PgBouncer 1.26.1"},
		Options:  published{Rounds: 3, Seconds: 4, Scale: 10, Pool: 20},
		Loads: []measured{{load{Mode: "simple", Clients: 400}, map[string]*series{
			direct:    {Missing: "the server has room for 97 connections"},
			pgbouncer: {CPU: []float64{20, 21, 22}, TPS: []float64{21000, 22000, 23000}},
		}}},
	}
	r.note("odyssey is left out: not found")
	golden, err := os.ReadFile(filepath.Join("testdata", "table.md"))
	require.NoError(t, err)
	require.Equal(t, string(golden), table(r))

	file := filepath.Join(t.TempDir(), "r.json")
	require.NoError(t, r.write(file))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var back result
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, r, back)
}

func TestPasswordFileEscapesItsSeparators(t *testing.T) {
	a := address{"127.0.0.1", "6432", "pt-media", "app", `a:b\c`}
	require.Equal(t, `127.0.0.1:6432:pt-media:app:a\:b\\c`+"\n", a.passLine())
	back, err := parseURL(a.url())
	require.NoError(t, err)
	require.Equal(t, a, back)
}

func TestRunAgainstAServerDropsWhatItMadeThere(t *testing.T) {
	t.Setenv(serverVariable, pgtest.URL(t))
	t.Chdir("..") // where `go run ./bench` runs
	out := filepath.Join(t.TempDir(), "result.json")
	var printed strings.Builder
	err := bench(t.Context(), []string{"-targets", "direct", "-clients", "2,1000", "-rounds", "1", "-seconds", "1", "-scale", "1", "-out", out}, &printed)
	require.NoError(t, err)
	require.Contains(t, printed.String(), "| simple, c=2 | PostgreSQL, direct |")
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	var r result
	require.NoError(t, json.Unmarshal(text, &r))
	require.Len(t, r.Loads, 3)
	require.Positive(t, r.Loads[0].Targets[direct].TPS[0])
	require.Contains(t, r.Loads[1].Targets[direct].Missing, "room for")
	require.NotContains(t, string(text), "password")

	admin, err := parseURL(pgtest.URL(t))
	require.NoError(t, err)
	admin.database = peerRole
	require.ErrorContains(t, admin.answers(t.Context()), "does not exist")
}

func TestChildThatEndsAtStartIsQuoted(t *testing.T) {
	w, err := openWorkplace()
	require.NoError(t, err)
	p, err := w.start("child", exec.Command("sh", "-c", "echo no room; exit 3"))
	require.NoError(t, err)
	err = p.until(t.Context(), func() bool { return false })
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no room")
	require.NoError(t, w.close())
}

func TestChildrenEndWithTheWorkplace(t *testing.T) {
	w, err := openWorkplace()
	require.NoError(t, err)
	p, err := w.start("child", exec.Command("sleep", "60"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	require.ErrorContains(t, p.until(ctx, func() bool { return false }), "enough")
	require.NoError(t, w.close())
	<-p.gone
	require.NoDirExists(t, w.dir)
}

func TestPeersThatAreNotThereAreLeftOut(t *testing.T) {
	o := options{peersRoot: t.TempDir()}
	_, err := o.findPeer("", "usr/sbin/pgbouncer")
	require.ErrorIs(t, err, errNotFound)
	require.ErrorContains(t, err, "go run ./bench peers")
}
