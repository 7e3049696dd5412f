package fleet_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/admin/client"
)

// vitals are what a replica takes of its machine.
type vitals struct {
	resident    int64 // bytes of memory
	descriptors int
	goroutines  int
}

func (v vitals) String() string {
	return fmt.Sprintf("%.1f MiB, %d goroutines, %d descriptors", mebibytes(v.resident), v.goroutines, v.descriptors)
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// vitals are r's, now.
func (r *replica) vitals(ctx context.Context) (v vitals, err error) {
	if v.resident, err = r.resident(); err != nil {
		return v, err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.PID()))
	if err != nil {
		return v, err
	}
	v.descriptors = len(open)
	figure, err := r.metric(ctx, "go_goroutines")
	v.goroutines = int(figure)
	return v, err
}

// resident is the memory that r's process has, in bytes.
func (r *replica) resident() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	kibibytes, err := strconv.ParseInt(strings.Fields(line + " 0")[0], 10, 64)
	return kibibytes << 10, err
}

// metric reads one figure without labels from /metrics.
func (r *replica) metric(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	request.Close = true // keeps no goroutine
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("no metric %s: %w", name, lines.Err())
}

// A highWater watches how much memory a replica takes while a test does something.
type highWater struct {
	from, most int64
	stop       context.CancelFunc
	gone       chan struct{}
}

func (r *replica) watchMemory(t *testing.T) *highWater {
	t.Helper()
	from, err := r.resident()
	require.NoError(t, err)
	w := &highWater{from: from, most: from, gone: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	w.stop = cancel
	t.Cleanup(func() { w.end() })
	go func() {
		defer close(w.gone)
		tick := time.NewTicker(often)
		defer tick.Stop()
		for {
			if now, err := r.resident(); err == nil {
				w.most = max(w.most, now)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return w
}

// end returns by how many bytes the memory has grown at most.
func (w *highWater) end() int64 {
	w.stop()
	<-w.gone
	return w.most - w.from
}

// certified are the flags that give a replica a certificate of its own.
func certified(t *testing.T) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	return []string{"--tls-cert", write("tls.crt", "CERTIFICATE", cert), "--tls-key", write("tls.key", "PRIVATE KEY", private)}
}

// A console is an operator's connection to a replica's console.
type console struct{ conn *pgx.Conn }

// console logs in with the right to look.
func (r *replica) console(ctx context.Context, t *testing.T) console {
	t.Helper()
	made, err := r.api.CreateLogin(ctx, client.NewLogin{
		Name: "watch-" + strings.ToLower(rand.Text()[:8]), Service: true, Console: "stats",
	})
	require.NoError(t, err)
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@%s/dermaga?sslmode=disable", made.Name, made.Password, r.broker))
	require.NoError(t, err)
	t.Cleanup(func() { hangUp(conn.PgConn()) })
	return console{conn}
}

// show returns the rows of SHOW what, by column.
func (c console) show(ctx context.Context, what string) (all []map[string]string, err error) {
	rows, err := c.conn.Query(ctx, "SHOW "+what, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row := map[string]string{}
		for i, v := range rows.RawValues() {
			row[rows.FieldDescriptions()[i].Name] = string(v)
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// of are the rows that have value in column.
func of(rows []map[string]string, column, value string) (some []map[string]string) {
	for _, row := range rows {
		if row[column] == value {
			some = append(some, row)
		}
	}
	return some
}
