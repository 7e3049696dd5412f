package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A visitor is one connection of the mixed load. It knows what it has done to its
// session, and compares that with what it finds there. Owned by one goroutine.
type visitor struct {
	conn *pgconn.PgConn
	mode string // auto, transaction, statement or session
	mark string // no other visitor has it
	n    int    // likewise
	*rand.Rand

	first    map[string]string // its settings after login
	settings map[string]string // … and now
	prepared map[string]int    // its statements of the protocol: what they add
	kept     map[string]bool   // states of its session that cannot be carried
	room     chan struct{}     // of its tenant's pins
	pinned   bool              // it has a place in room
	heard    []string          // notifications not looked at yet
	trail    []string          // its last statements, for people
}

// visits numbers the visitors.
var visits atomic.Int64

// chosen are values for settings, as PostgreSQL spells them.
var chosen = map[string][]string{
	"TimeZone":                    {"Asia/Jakarta", "America/New_York", "UTC"},
	"DateStyle":                   {"ISO, DMY", "German, DMY", "SQL, MDY"},
	"application_name":            {"first", "second"},
	"standard_conforming_strings": {"on", "off"},
	"work_mem":                    {"5MB", "7MB", "9MB"},
	"statement_timeout":           {"51s", "53s"},
	"lock_timeout":                {"41s", "43s"},
	"search_path":                 {"public", "pg_catalog"},
	"extra_float_digits":          {"0", "2"},
	"mixed.own":                   {"red", "green"},
}

// settable are the settings' names in a fixed order.
var settable = slices.Sorted(maps.Keys(chosen))

// settingsSQL reads all of them at once. One's own setting reads as empty after its
// RESET, and in PostgreSQL so it does as never set: that may differ.
var settingsSQL = func() string {
	var each []string
	for _, name := range settable {
		each = append(each, fmt.Sprintf("coalesce(pg_catalog.current_setting('%s', true), '')", name))
	}
	return "SELECT pg_catalog.concat_ws('|', " + strings.Join(each, ", ") + ")"
}()

// errVanished says that a visitor has ended its connection itself.
var errVanished = errors.New("vanished")

// visit connects to url, after what differs between visitors has been chosen.
func visit(ctx context.Context, url, mode string, room chan struct{}, plain map[string]string) (*visitor, error) {
	n := int(visits.Add(1))
	v := &visitor{
		mode: mode, n: n, mark: fmt.Sprintf("v%d", n), Rand: rand.New(rand.NewPCG(uint64(n), 13)),
		prepared: map[string]int{}, kept: map[string]bool{}, room: room,
		first: maps.Clone(plain),
	}
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	options := "-c dermaga.pool_mode=" + mode
	if plain["work_mem"] != "" && v.IntN(3) == 0 {
		v.first["work_mem"] = "11MB"
		options += " -c work_mem=11MB"
	}
	v.first["application_name"] = v.mark
	config.RuntimeParams["options"] = options
	config.RuntimeParams["application_name"] = v.mark
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { v.heard = append(v.heard, n.Channel) }
	v.settings = maps.Clone(v.first)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v.conn, err = pgconn.ConnectConfig(ctx, config)
	return v, err
}

// stay runs acts until n are done, or one goes wrong or ends the connection. It
// reports how many.
func (v *visitor) stay(ctx context.Context, n int, pause func(*visitor)) (done int, err error) {
	defer v.leave()
	for range n {
		a := v.choose()
		if err := v.act(ctx, a); err != nil {
			if errors.Is(err, errVanished) {
				return done, nil
			}
			return done, fmt.Errorf("%s visitor %s, %s, having %v: %w, after %q",
				v.mode, v.mark, a.name, slices.Sorted(maps.Keys(v.kept)), err, v.trail)
		}
		done++
		pause(v)
	}
	return done, nil
}

func (v *visitor) act(ctx context.Context, a act) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("no answer"))
	defer cancel()
	if err := a.do(v, ctx); err != nil {
		return err
	}
	for _, channel := range v.heard {
		if channel != v.mark {
			return fmt.Errorf("it hears of %s", channel)
		}
	}
	if len(v.heard) > 0 && v.mode != "session" && v.mode != "auto" {
		return errors.New("it hears of what it does not listen to any more")
	}
	return nil
}

// leave ends the connection, well or by closing the socket.
func (v *visitor) leave() {
	if v.conn != nil {
		if v.IntN(3) > 0 {
			hangUp(v.conn)
		} else {
			_ = v.conn.Conn().Close()
		}
	}
	v.unpin()
}

// pin takes a place among those of the tenant's clients that keep a server, if
// there is one: the broker would end one too many.
func (v *visitor) pin() bool {
	if v.pinned || v.mode != "auto" {
		return true
	}
	select {
	case v.room <- struct{}{}:
		v.pinned = true
		return true
	default:
		return false
	}
}

func (v *visitor) unpin() {
	if v.pinned {
		<-v.room
		v.pinned = false
	}
}

// ask runs sql as a simple query and returns the first value of its last result.
func (v *visitor) ask(ctx context.Context, sql string) (string, error) {
	v.note(sql)
	results, err := v.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", fmt.Errorf("%s: %w", sql, err)
	}
	return cell(results[len(results)-1]), nil
}

// askWith is ask with the extended protocol and values.
func (v *visitor) askWith(ctx context.Context, sql string, values ...string) (string, error) {
	raw := make([][]byte, len(values))
	for i := range values {
		raw[i] = []byte(values[i])
	}
	v.note(sql)
	result := v.conn.ExecParams(ctx, sql, raw, nil, nil, nil).Read()
	if result.Err != nil {
		return "", fmt.Errorf("%s: %w", sql, result.Err)
	}
	return cell(result), nil
}

// note remembers a statement, and forgets an old one.
func (v *visitor) note(sql string) {
	const memory = 15
	if sql == settingsSQL || sql == stateSQL {
		sql = "(look)"
	}
	v.trail = append(v.trail[max(0, len(v.trail)-memory):], sql)
}

// cell is the first value of a result, "" where there is none.
func cell(r *pgconn.Result) string {
	if len(r.Rows) == 0 || len(r.Rows[0]) == 0 {
		return ""
	}
	return string(r.Rows[0][0])
}

// run runs statements, each on its own.
func (v *visitor) run(ctx context.Context, sql ...string) error {
	for _, s := range sql {
		if _, err := v.ask(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// fails runs sql, which must fail with code.
func (v *visitor) fails(ctx context.Context, code, sql string) error {
	_, err := v.ask(ctx, sql)
	return refusedWith(code, err)
}

// refusedWith is nil if err is the server's error of that code.
func refusedWith(code string, err error) error {
	if err == nil {
		return fmt.Errorf("no error %s", code)
	}
	if reason(err) != code {
		return fmt.Errorf("not %s: %w", code, err)
	}
	return nil
}

// is returns an error unless got is want.
func is(what, want, got string, err error) error {
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s is %.200q, not %.200q", what, got, want)
	}
	return nil
}

// stateSQL names what there is in the session that cannot be carried.
const stateSQL = `SELECT pg_catalog.concat_ws(' ',
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable AND name <> '') THEN 'cursor' END,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_listening_channels()) THEN 'listen' END,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()) THEN 'lock' END,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql) THEN 'prepared' END,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind = 'r') THEN 'temp' END,
	CASE WHEN current_user <> session_user THEN 'role' END)`

// look compares the session with what v knows of it.
func (v *visitor) look(ctx context.Context) error {
	want := make([]string, len(settable))
	for i, name := range settable {
		want[i] = v.settings[name]
	}
	got, err := v.ask(ctx, settingsSQL)
	if err := is("settings", strings.Join(want, "|"), got, err); err != nil {
		return err
	}
	got, err = v.ask(ctx, stateSQL)
	return is("what there is in the session", strings.Join(slices.Sorted(maps.Keys(v.kept)), " "), got, err)
}

// later is a moment, up to most.
func (v *visitor) later(most time.Duration) time.Duration {
	return time.Duration(v.Int64N(int64(most)))
}
