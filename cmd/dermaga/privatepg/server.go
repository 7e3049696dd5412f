package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	loopback  = "127.0.0.1"
	superuser = "postgres"
)

// ErrOtherPassword is returned by Start when the data folder was made with
// another password than Config.Password. The server is stopped again.
var ErrOtherPassword = errors.New("the data folder was made with another password")

// Config says which PostgreSQL to run and where.
type Config struct {
	// Bin is the folder of initdb and postgres. Empty: PATH, then the places
	// where Debian and Homebrew install, newest first, then the archive.
	Bin string

	// Data is the folder that holds everything of this server; it is made when
	// missing. Under root it is given to the user that PostgreSQL runs as, who
	// must be able to reach it.
	Data string

	// Port on loopback; 0 takes a free one.
	Port int

	// Password of the superuser "postgres": set when Data is new, and needed
	// again at each later start on the same Data.
	Password string

	// Settings go to postgres as they are and win over the package's own.
	// They show in the process list: no secrets.
	Settings map[string]string

	// Fetch allows the download of the pinned archive where no PostgreSQL is
	// installed.
	Fetch bool

	// Log gets one line per step; nil discards.
	Log *slog.Logger
}

func (c Config) validate() error {
	var faults []error
	if c.Data == "" {
		faults = append(faults, errors.New("privatepg: Data is empty: name a folder"))
	}
	if c.Password == "" {
		faults = append(faults, errors.New("privatepg: Password is empty: the server lets nobody in without one"))
	}
	if c.Port < 0 || c.Port > 65535 {
		faults = append(faults, fmt.Errorf("privatepg: Port %d: want 1 to 65535, or 0 for a free one", c.Port))
	}
	return errors.Join(faults...)
}

// Server is a running private PostgreSQL. Safe for concurrent use.
type Server struct {
	child    *child
	bin      string
	port     int
	password string
	version  int
	log      *slog.Logger
}

// Start makes the cluster when Data has none, starts PostgreSQL on it and
// returns when it answers a login. How long that may take is ctx's to say; an
// end of ctx later does not stop the server.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	data, err := filepath.Abs(cfg.Data)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", cfg.Data, err)
	}
	owner, err := settle(data)
	if err != nil {
		return nil, err
	}
	set, err := findBinaries(ctx, cfg, clusterMajor(data), owner)
	if err != nil {
		return nil, err
	}
	if err := ensureCluster(ctx, set, owner, data, cfg); err != nil {
		return nil, err
	}
	if err := clearLeftover(ctx, clusterDir(data)); err != nil {
		return nil, err
	}
	return launch(ctx, set, owner, data, cfg)
}

// portTries bounds how often a free port that somebody else took in the
// meantime is replaced by another one.
const portTries = 3

func launch(ctx context.Context, set binaries, owner account, data string, cfg Config) (*Server, error) {
	for try := 1; ; try++ {
		port := cfg.Port
		if port == 0 {
			var err error
			if port, err = freePort(); err != nil {
				return nil, err
			}
		}
		s, err := startOn(ctx, port, set, owner, data, cfg)
		if cfg.Port == 0 && try < portTries && errors.Is(err, errPortTaken) {
			continue
		}
		return s, err
	}
}

func startOn(ctx context.Context, port int, set binaries, owner account, data string, cfg Config) (*Server, error) {
	args := serverArgs(clusterDir(data), port, cfg.Settings)
	c, err := spawn(set.postgres(), args, owner, data)
	if err != nil {
		return nil, err
	}
	s := &Server{child: c, bin: set.dir, port: port, password: cfg.Password, log: cfg.Log}
	err = s.awaitReady(ctx, clusterDir(data))
	if err == nil {
		err = s.greet(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	cfg.Log.Info("private PostgreSQL ready", "port", port, "pid", c.pid(),
		"version", s.version, "bin", set.dir, "data", data)
	return s, nil
}

// pause is the time between two looks at something that is about to happen: a
// start takes 0.1 s.
const pause = 20 * time.Millisecond

// awaitReady returns when our own postmaster says that it accepts logins. A
// login alone could not tell it from another server on the same port.
func (s *Server) awaitReady(ctx context.Context, cluster string) error {
	for {
		// An error means that it has not written the file yet.
		pid, ready, _ := readPidFile(pidFile(cluster))
		if ready && pid == s.PID() {
			return nil
		}
		select {
		case <-s.child.gone:
			return s.child.obituary()
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL (pid %d) is not ready: %w", s.PID(), context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// greet logs in once: the password is the right one, and the version is known.
func (s *Server) greet(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL())
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == pgerrcode.InvalidPassword {
		return fmt.Errorf("%w: give the one it was made with, or a new folder", ErrOtherPassword)
	}
	if err != nil {
		return fmt.Errorf("log in to the private PostgreSQL: %w", err)
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&s.version)
}

// URL is where the superuser connects; it contains the password.
func (s *Server) URL() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(s.port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Host is the loopback address that the server listens on.
func (s *Server) Host() string { return loopback }

// Port is the TCP port that the server listens on.
func (s *Server) Port() int { return s.port }

// Bin is the folder that the server's binaries came from.
func (s *Server) Bin() string { return s.bin }

// PID is the postmaster's process id.
func (s *Server) PID() int { return s.child.pid() }

// Version is server_version_num: 150018 for 15.18.
func (s *Server) Version() int { return s.version }

// Done is closed when the server has ended, asked for or not.
func (s *Server) Done() <-chan struct{} { return s.child.gone }

// Stop shuts the server down and returns when it is gone: fast (clients are
// disconnected, data is flushed), and the hard way when that takes too long.
// Calling it again returns the same answer.
func (s *Server) Stop() error {
	err := s.child.stop()
	s.log.Info("private PostgreSQL stopped", "port", s.port)
	return err
}

// freePort asks the kernel for one. It is free only at this moment.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// serverArgs are postgres' arguments: the package's own settings, and those of
// the caller in their place where both name one.
func serverArgs(cluster string, port int, settings map[string]string) []string {
	all := map[string]string{
		"listen_addresses":        loopback,
		"unix_socket_directories": "", // /tmp would offer the port to every user of the machine
		"password_encryption":     "scram-sha-256",
		"logging_collector":       "off", // server.log is ours
		"log_line_prefix":         "%m [%p] %u@%d ",
	}
	maps.Copy(all, settings)
	args := []string{"-D", cluster, "-p", strconv.Itoa(port)}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}

// tail returns the last lines of the server's log, for errors.
func tail(file string) string {
	const keep = 2048 // bytes: about fifteen lines
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(-keep, io.SeekEnd); err != nil { // the log is shorter
		_, _ = f.Seek(0, io.SeekStart)
	}
	text, _ := io.ReadAll(io.LimitReader(f, keep)) // what could be read is all there is to say
	return string(text)
}
