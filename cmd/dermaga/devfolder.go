package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nusajournal/dermaga/registry"
)

// A devFolder is what `dermaga dev` keeps between two runs:
//
//	encryption.key      ENCRYPTION_KEY
//	tls.crt tls.key     the broker's self-signed certificate
//	secrets.json        passwords and the admin token
//	postgres/           the private PostgreSQL, see package privatepg
//	info.json           while it runs: how to reach it
//	lock                held while it runs
//
// One process at a time uses it.
type devFolder struct {
	path string
	lock *os.File
	keep devSecrets
}

// devSecrets are made once and kept.
type devSecrets struct {
	Postgres string `json:"postgres"` // password of the superuser
	Demo     string `json:"demo"`     // password of the tenant demo's login
	Token    string `json:"token"`    // of the admin API; "" until the registry made one
}

func openDevFolder(path string) (*devFolder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if os.Geteuid() == 0 {
		// PostgreSQL runs as another user then and has to pass through; what
		// is secret in here has a mode of its own.
		if err := os.Chmod(path, 0o711); err != nil {
			return nil, fmt.Errorf("let PostgreSQL pass through the data folder: %w", err)
		}
	}
	f := &devFolder{path: path}
	lock, err := os.OpenFile(f.file("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("another dermaga dev runs on %s: end it, or choose another folder with --data", path)
	}
	f.lock = lock
	if err := f.load(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// close gives the folder free for another process.
func (f *devFolder) close() { _ = f.lock.Close() } // and with it the lock

func (f *devFolder) file(name string) string { return filepath.Join(f.path, name) }

func (f *devFolder) load() error {
	b, err := os.ReadFile(f.file("secrets.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read what the last run kept: %w", err)
	default:
		if err := json.Unmarshal(b, &f.keep); err != nil {
			return fmt.Errorf("%s is damaged: %w", f.file("secrets.json"), err)
		}
	}
	for _, password := range []*string{&f.keep.Postgres, &f.keep.Demo} {
		if *password == "" {
			*password = registry.NewPassword().Reveal()
		}
	}
	return f.save()
}

func (f *devFolder) save() error {
	b, err := json.MarshalIndent(f.keep, "", "  ")
	if err != nil {
		return fmt.Errorf("encode secrets: %w", err)
	}
	return writeSecret(f.file("secrets.json"), append(b, '\n'))
}

// key returns the folder's ENCRYPTION_KEY and makes it first when there is none.
func (f *devFolder) key() (*registry.Keys, error) {
	path := f.file("encryption.key")
	text, err := readSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw) // never fails
		text = hex.EncodeToString(raw)
		err = writeSecret(path, []byte(text+"\n"))
	}
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	keys, err := registry.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// certificate returns the files of the self-signed certificate.
func (f *devFolder) certificate() (certFile, keyFile string, err error) {
	certFile, keyFile = f.file("tls.crt"), f.file("tls.key")
	return certFile, keyFile, selfSigned(certFile, keyFile)
}
