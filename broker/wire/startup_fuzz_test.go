package wire_test

import (
	"strings"
	"testing"

	"github.com/nusajournal/dermaga/broker/wire"
)

// FuzzStartup: whatever a first packet holds, it is parsed within its own
// bytes, and what was accepted is whole.
func FuzzStartup(f *testing.F) {
	f.Add(startupBody(wire.Version30, "user", "app", "database", "demo", "options", "-c geqo=off"))
	f.Add(startupBody(wire.Version32, "user", "app", "_pq_.x", "1", "replication", "true"))
	f.Add([]byte{4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) < 4 {
			return
		}
		if _, secret, ok := wire.ParseCancel(body); ok && (len(secret) < 4 || len(secret) > wire.MaxCancelSecret) {
			t.Fatalf("secret of %d bytes", len(secret))
		}
		s, err := wire.ParseStartup(body)
		if err != nil {
			return
		}
		if s.User == "" || s.Database == "" {
			t.Fatal("accepted without a user or a database")
		}
		size := len(s.User) + len(s.Options) + len(s.Replication)
		for _, p := range s.Settings {
			size += len(p.Name) + len(p.Value)
			if p.Name == "" || strings.ContainsRune(p.Name+p.Value, 0) {
				t.Fatalf("setting %q", p)
			}
		}
		if size > len(body) {
			t.Fatalf("%d bytes parsed from %d", size, len(body))
		}
	})
}

// FuzzOptions: parsing ends, and every setting that comes out has a name that
// PostgreSQL would take.
func FuzzOptions(f *testing.F) {
	for _, text := range []string{
		"-c work_mem=4MB", "--a-b=c", "-c=", "-c =x", "--=", "-c", `-c a=\ \\ b\`, "-ca.b=1 -c c=2", "\t-c\va=b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := wire.ParseOptions(text)
		if err != nil && settings != nil {
			t.Fatal("settings beside an error")
		}
		size := 0
		for _, s := range settings {
			if !wire.ValidSettingName(s.Name) {
				t.Fatalf("name %q", s.Name)
			}
			size += len(s.Name) + len(s.Value) + 1
		}
		if size > len(text) {
			t.Fatalf("%d bytes parsed from %d", size, len(text))
		}
	})
}
