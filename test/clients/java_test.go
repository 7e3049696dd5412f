package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

const (
	mavenCentral = "https://repo1.maven.org/maven2"

	// mavenMirror is what `dermaga dev` takes its PostgreSQL from as well, where
	// Maven Central is out of reach.
	mavenMirror = "DERMAGA_POSTGRES_MIRROR"

	// maxJar is several times the largest jar, in bytes.
	maxJar = 16 << 20
)

// javaProgram returns a program that compiles and runs one source file of
// testdata with the jars of testdata/java/SHA256SUMS. Its heap is smaller than
// the rows that it reads.
func javaProgram(t *testing.T, source string) program {
	t.Helper()
	const packages = "default-jdk-headless"
	java := need(t, "java", packages)
	need(t, "javac", packages) // a java without a compiler runs no sources
	dir := dermagatest.Installed(t, "test-clients", "java", "", []string{"SHA256SUMS"}, func(ctx context.Context, dir string) error {
		for _, j := range jars(t) {
			if err := j.fetch(ctx, dir); err != nil {
				return err
			}
		}
		return nil
	})
	return program{path: java, args: []string{"-Xmx64m", "-cp", filepath.Join(dir, "*"), filepath.Join("testdata", source)}}
}

// A jar of a Maven repository and its SHA-256, computed when it was chosen.
type jar struct{ path, sum string }

// jars are the lines of testdata/java/SHA256SUMS.
func jars(t *testing.T) []jar {
	t.Helper()
	var all []jar
	for line := range strings.Lines(pins(t, "java/SHA256SUMS")) {
		sum, path, _ := strings.Cut(strings.TrimSpace(line), "  ")
		all = append(all, jar{path: path, sum: sum})
	}
	return all
}

func (j jar) fetch(ctx context.Context, dir string) error {
	repository := os.Getenv(mavenMirror)
	if repository == "" {
		repository = mavenCentral
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(repository, "/")+"/"+j.path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", req.URL.Redacted(), res.Status)
	}
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(res.Body, maxJar)); err != nil {
		return err
	}
	if sum := sha256.Sum256(text.Bytes()); hex.EncodeToString(sum[:]) != j.sum {
		return fmt.Errorf("%s has another checksum than in SHA256SUMS: %x", req.URL.Redacted(), sum)
	}
	return os.WriteFile(filepath.Join(dir, path.Base(j.path)), text.Bytes(), 0o644)
}
