package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	targets   []string
	clients   []int
	modes     []string
	rounds    int
	seconds   int // of one measurement
	scale     int // pgbench's: 100,000 accounts, 15 MB each
	pool      int // server connections of each pooler
	connects  bool
	out       string
	serverURL string
	bin       string // folder of pgbench
	dermaga   string // binary; empty: built here
	peersRoot string
	pgbouncer string // binary outside the peers' root
	odyssey   string // likewise
}

// serverVariable keeps the password of -server-url out of the process list.
const serverVariable = "DERMAGA_BENCH_SERVER_URL"

func parse(args []string, output io.Writer) (options, error) {
	var o options
	var clients, modes, targets string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&targets, "targets", strings.Join(everyone, ","), "whom to measure; the ones that are not found are left out")
	f.StringVar(&clients, "clients", "1,8,64,400", "client counts")
	f.StringVar(&modes, "modes", "simple", "pgbench's protocols: simple, extended, prepared")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of each load; the targets take turns in each")
	f.IntVar(&o.seconds, "seconds", 4, "length of one measurement, after one second of warming up")
	f.IntVar(&o.scale, "scale", 10, "pgbench scale factor")
	f.IntVar(&o.pool, "pool", 20, "server connections of each pooler")
	f.BoolVar(&o.connects, "connects", true, "also measure a SCRAM connect with one transaction, 8 clients")
	f.StringVar(&o.out, "out", "", "file for the results as JSON")
	f.StringVar(&o.serverURL, "server-url", os.Getenv(serverVariable),
		"superuser URL of a throw-away PostgreSQL to use instead of dev's own; $"+serverVariable+" keeps its password out of ps")
	f.StringVar(&o.bin, "pgbench-bin", "", "folder of pgbench; else Debian's newest, else PATH")
	f.StringVar(&o.dermaga, "dermaga", "", "dermaga binary; else ./cmd/dermaga is built")
	f.StringVar(&o.peersRoot, "peers-root", filepath.Join("bench", "peers", "root"), "what `bench peers` made")
	f.StringVar(&o.pgbouncer, "pgbouncer", "", "pgbouncer binary instead of the one in -peers-root")
	f.StringVar(&o.odyssey, "odyssey", "", "odyssey binary instead of the one in -peers-root")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.targets, o.modes = strings.Split(targets, ","), strings.Split(modes, ",")
	for _, c := range strings.Split(clients, ",") {
		n, err := strconv.Atoi(c)
		if err != nil {
			return o, fmt.Errorf("-clients %s: %w", clients, err)
		}
		o.clients = append(o.clients, n)
	}
	return o, o.validate()
}

func (o options) validate() error {
	var faults []error
	for _, t := range o.targets {
		if !slices.Contains(everyone, t) {
			faults = append(faults, fmt.Errorf("-targets: %q is none of %s", t, strings.Join(everyone, ", ")))
		}
	}
	for _, m := range o.modes {
		if !slices.Contains([]string{"simple", "extended", "prepared"}, m) {
			faults = append(faults, fmt.Errorf("-modes: %q is none of simple, extended, prepared", m))
		}
	}
	if slices.Min(o.clients) < 1 {
		faults = append(faults, errors.New("-clients: at least 1"))
	}
	for name, n := range map[string]int{"rounds": o.rounds, "seconds": o.seconds, "scale": o.scale, "pool": o.pool} {
		if n < 1 {
			faults = append(faults, fmt.Errorf("-%s %d: at least 1", name, n))
		}
	}
	return errors.Join(faults...)
}

func (o options) wants(name string) bool { return slices.Contains(o.targets, name) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == "peers" {
		err = makePeers(ctx, os.Args[2:])
	} else {
		err = bench(ctx, os.Args[1:], os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit())
	defer cancel()
	w, err := openWorkplace()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	r := result{Taken: time.Now().UTC(), Machine: machine(), Options: o.published(), Versions: map[string]string{}}
	targets, err := w.assemble(ctx, o, &r)
	if err != nil {
		return err
	}
	if err := measure(ctx, w, o, targets, &r); err != nil {
		return err
	}
	if _, err := io.WriteString(out, table(r)); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return r.write(o.out)
}

// limit bounds the whole run: preparation, and each measurement with its
// warming up and the connects of 400 clients.
func (o options) limit() time.Duration {
	each := time.Duration(o.seconds)*time.Second + runMargin
	return 10*time.Minute + time.Duration(o.rounds*len(o.loads())*len(o.targets))*each
}
