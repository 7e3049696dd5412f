package clients_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/internal/dermagatest"
)

// nodeForPrisma is the oldest Node.js that Prisma 7 runs on.
const nodeForPrisma = 20

// nodeProgram returns a program that runs a script of testdata with the packages
// of testdata/node/package-lock.json and a generated Prisma client.
func nodeProgram(t *testing.T, script string) program {
	t.Helper()
	const packages = "nodejs npm"
	node, npm := need(t, "node", packages), need(t, "npm", packages)
	version := strings.TrimSpace(program{path: node, args: []string{"--version"}}.run(t))
	first, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(first); err != nil || n < nodeForPrisma {
		missing(t, fmt.Sprintf("Node.js %d (this is %s)", nodeForPrisma, version), packages)
	}

	pins := []string{"package.json", "package-lock.json", "prisma.config.mjs", "prisma/schema.prisma"}
	dir := dermagatest.Installed(t, "test-clients", "node", version, pins, func(ctx context.Context, dir string) error {
		install := program{path: npm, args: []string{"ci", "--ignore-scripts", "--no-audit", "--no-fund"}, dir: dir}
		if out, complaints, err := install.try(ctx); err != nil {
			return fmt.Errorf("npm ci: %w\n%s%s", err, out, complaints)
		}
		// generate asks for the schema engine, which it does not use, and would
		// download it: any program that exits well will do.
		generate := program{
			path: filepath.Join(dir, "node_modules/.bin/prisma"), args: []string{"generate"}, dir: dir,
			env: []string{"PRISMA_SCHEMA_ENGINE_BINARY=/bin/true", "CHECKPOINT_DISABLE=1"},
		}
		if out, complaints, err := generate.try(ctx); err != nil {
			return fmt.Errorf("prisma generate: %w\n%s%s", err, out, complaints)
		}
		return nil
	})

	// Node looks for packages beside the script.
	work := t.TempDir()
	text, err := os.ReadFile(filepath.Join("testdata", script))
	require.NoError(t, err)
	beside := filepath.Join(work, filepath.Base(script))
	require.NoError(t, os.WriteFile(beside, text, 0o644))
	require.NoError(t, os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(work, "node_modules")))
	return program{path: node, args: []string{beside}}
}

// pythonProgram returns a program that runs a script of testdata with the
// packages of testdata/python/requirements.txt.
func pythonProgram(t *testing.T, script string) program {
	t.Helper()
	const packages = "python3 python3-pip"
	python := need(t, "python3", packages)
	version := strings.TrimSpace(program{path: python, args: []string{"--version"}}.run(t))
	pip := program{path: python, args: []string{"-m", "pip", "--version"}}
	if _, _, err := pip.try(t.Context()); err != nil {
		missing(t, "pip", packages)
	}
	dir := dermagatest.Installed(t, "test-clients", "python", version, []string{"requirements.txt"}, func(ctx context.Context, dir string) error {
		install := program{path: python, args: []string{
			"-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:",
			"--target", filepath.Join(dir, "packages"), "-r", filepath.Join(dir, "requirements.txt"),
		}}
		if out, complaints, err := install.try(ctx); err != nil {
			return fmt.Errorf("pip install: %w\n%s%s", err, out, complaints)
		}
		return nil
	})
	return program{
		path: python, args: []string{filepath.Join("testdata", script)},
		env: []string{"PYTHONPATH=" + filepath.Join(dir, "packages"), "PYTHONDONTWRITEBYTECODE=1"},
	}
}
