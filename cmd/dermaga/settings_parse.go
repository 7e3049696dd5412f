package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry"
)

// A parser is a kind of values: how --help names it, and what puts text where it
// belongs in options. Its error says what would be right.
type parser struct {
	kind string // "": a switch
	into func(o *options, text string) error
}

// The parsers put the value where at points.

func text(kind string, at func(*options) *string) parser {
	return parser{kind, func(o *options, s string) error {
		*at(o) = s
		return nil
	}}
}

func whole(at func(*options) *int, low, high int) parser {
	return parser{"N", func(o *options, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number from %d to %d", low, high)
		}
		*at(o) = n
		return nil
	}}
}

// duration takes Go's notation, and a bare number as milliseconds: that is how
// PostgreSQL reads its time-outs, and how JavaScript, the first version's language,
// counts time.
func duration(at func(*options) *time.Duration) parser {
	return parser{"DURATION", func(o *options, s string) error {
		d, err := time.ParseDuration(s)
		if n, bare := strconv.ParseInt(s, 10, 64); bare == nil {
			d, err = time.Duration(n)*time.Millisecond, nil
		}
		if err != nil || d <= 0 {
			return errors.New("want a duration above zero, such as 30m, 90s or 1500ms (a bare number counts milliseconds)")
		}
		*at(o) = d
		return nil
	}}
}

// durationOrOff is duration, and off (or 0) for none, which is below zero in
// options: zero there would be the broker's default.
func durationOrOff(at func(*options) *time.Duration) parser {
	return parser{"DURATION", func(o *options, s string) error {
		t, err := registry.ParseTimeout(s)
		*at(o) = time.Duration(t)
		return err
	}}
}

func yesNo(at func(*options) *bool) parser {
	return parser{"", func(o *options, s string) error {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("want true or false")
		}
		*at(o) = b
		return nil
	}}
}

func oneOf(at func(*options) *string, words ...string) parser {
	return parser{"WORD", func(o *options, s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("want one of: %s", strings.Join(words, ", "))
		}
		*at(o) = s
		return nil
	}}
}

func address(at func(*options) *string) parser {
	return parser{"HOST:PORT", func(o *options, s string) error {
		_, port, err := net.SplitHostPort(s)
		if err != nil {
			return errors.New("want HOST:PORT, such as 127.0.0.1:6432 or [::1]:6432")
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return errors.New("want a port from 0 to 65535 (0: a free one)")
		}
		*at(o) = s
		return nil
	}}
}

func level(at func(*options) *slog.Level) parser {
	return parser{"LEVEL", func(o *options, s string) error {
		if at(o).UnmarshalText([]byte(s)) != nil {
			return errors.New("want debug, info, warn or error")
		}
		return nil
	}}
}

// webURL takes the address of an HTTP server, without a path.
func webURL(at func(*options) *string) parser {
	return parser{"URL", func(o *options, s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return errors.New("want http://HOST:PORT or https://HOST:PORT")
		}
		*at(o) = strings.TrimSuffix(s, "/")
		return nil
	}}
}

// prismaOnly are URL parameters that Prisma understands and PostgreSQL would
// refuse; ?schema=public is in every URL that Prisma writes.
var prismaOnly = []string{"schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout"}

// postgresURL takes a connection URL and drops what only Prisma understands.
func postgresURL(at func(*options) *registry.Secret) parser {
	return parser{"URL", func(o *options, s string) error {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			return errors.New("want postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters in the password percent-encoded")
		}
		query := u.Query()
		for _, name := range prismaOnly {
			query.Del(name)
		}
		u.RawQuery = query.Encode()
		if _, err := pgx.ParseConfig(u.String()); err != nil {
			return errors.New("not a connection URL that PostgreSQL's drivers take") // err may quote the password
		}
		*at(o) = registry.Secret(u.String())
		return nil
	}}
}

func keys(at func(*options) **registry.Keys) parser {
	return parser{"FILE", func(o *options, s string) (err error) {
		*at(o), err = registry.ParseKeys(s)
		return err
	}}
}

// readSecretFile reads a secret that is alone in its file.
func readSecretFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return s, nil
}
