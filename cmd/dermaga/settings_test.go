package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/broker"
)

const someKey = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"

// resolved is what args and env come to, for a command that takes groups.
func resolved(t *testing.T, env map[string]string, args []string, required []string, groups ...group) (options, error) {
	t.Helper()
	cmd := &cobra.Command{Use: "test"}
	k := takeSettings(cmd, streams{env: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}, groups...)
	require.NoError(t, cmd.ParseFlags(args))
	return k.resolve(required...)
}

func TestFlagWinsOverVariableWinsOverDefault(t *testing.T) {
	o, err := resolved(t, nil, nil, nil, brokerGroup)
	require.NoError(t, err)
	require.Equal(t, 50, o.broker.maxConnections)

	env := map[string]string{"MAX_CONNECTIONS": "7"}
	o, err = resolved(t, env, nil, nil, brokerGroup)
	require.NoError(t, err)
	require.Equal(t, 7, o.broker.maxConnections)

	o, err = resolved(t, env, []string{"--max-connections", "9"}, nil, brokerGroup)
	require.NoError(t, err)
	require.Equal(t, 9, o.broker.maxConnections)
}

func TestTheFirstVersionsVariablesWork(t *testing.T) {
	o, err := resolved(t, map[string]string{
		"REGISTRY_DATABASE_URL": "postgresql://u:p@db:5433/registry?schema=public&sslmode=disable",
		"DATABASE_URL":          "postgresql://u:p@db:5432/app?schema=public",
		"TENANT_DB_HOST":        "tenants.internal",
		"TENANT_DB_PORT":        "5444",
		"ENCRYPTION_KEY":        someKey,
		"MAX_CONNECTIONS":       "20",
		"CONNECTION_TTL":        "1800000",
	}, nil, []string{"registry-url", "encryption-key-file"}, registryGroup, sealingGroup, tenantsGroup, brokerGroup)
	require.NoError(t, err)
	require.Equal(t, "postgresql://u:p@db:5433/registry?sslmode=disable", o.registry.url.Reveal())
	require.Equal(t, "postgresql://u:p@db:5432/app", o.tenants.url.Reveal())
	require.Equal(t, "tenants.internal", o.tenants.host)
	require.Equal(t, 5444, o.tenants.port)
	require.NotNil(t, o.registry.keys)
	require.Equal(t, 20, o.broker.maxConnections)
	require.Equal(t, 30*time.Minute, o.broker.connectionTTL)
}

func TestAllFaultsAreReportedAtOnceWithoutSecrets(t *testing.T) {
	_, err := resolved(t, map[string]string{
		"DATABASE_URL":    "postgresql://u:hunter2@db:99999/app",
		"ENCRYPTION_KEY":  "hunter2",
		"MAX_CONNECTIONS": "many",
	}, []string{"--pool-mode=sometimes", "--listen", "6432"},
		[]string{"registry-url"}, registryGroup, sealingGroup, tenantsGroup, brokerGroup)
	var usage usageError
	require.ErrorAs(t, err, &usage)
	for _, text := range []string{
		"6 settings are wrong",
		"REGISTRY_DATABASE_URL (--registry-url) is not set",
		"DATABASE_URL: not a connection URL",
		"ENCRYPTION_KEY has 7 characters",
		"MAX_CONNECTIONS=many: want a whole number",
		"--pool-mode=sometimes: want one of: auto, transaction, statement, session",
		"--listen=6432: want HOST:PORT",
	} {
		require.ErrorContains(t, err, text)
	}
	require.NotContains(t, err.Error(), "hunter2")
}

func TestPlaceholderKeyIsRefused(t *testing.T) {
	_, err := resolved(t, map[string]string{"ENCRYPTION_KEY": examples["ENCRYPTION_KEY"]}, nil, nil, sealingGroup)
	require.ErrorContains(t, err, "placeholder")
	require.ErrorContains(t, err, "openssl rand -hex 32")
}

func TestEncryptionKeyCanBeReadFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(someKey+"\n"), 0o600))
	o, err := resolved(t, nil, []string{"--encryption-key-file", path}, nil, sealingGroup)
	require.NoError(t, err)
	require.NotNil(t, o.registry.keys)

	_, err = resolved(t, nil, []string{"--encryption-key-file", path + "x"}, nil, sealingGroup)
	require.ErrorContains(t, err, "--encryption-key-file: open ")
}

func TestSettingsAreDeclaredOnceAndHaveAVariable(t *testing.T) {
	flags, variables := map[string]bool{}, map[string]bool{}
	for _, s := range table {
		require.False(t, flags[s.flag], s.flag)
		require.NotEmpty(t, s.env, s.flag)
		require.False(t, variables[s.env], s.env)
		require.NotEmpty(t, s.doc, s.flag)
		flags[s.flag], variables[s.env] = true, true
	}
}

// The broker has defaults of its own, for whoever uses the package.
func TestDefaultsAreTheBrokers(t *testing.T) {
	o, err := resolved(t, nil, nil, nil, brokerGroup)
	require.NoError(t, err)
	cfg, err := brokerConfig(o, nil)
	require.NoError(t, err)
	require.Equal(t, broker.Config{Version: thisBuild().Version}.Defaults(), cfg.Defaults())
}

func TestSettingsDocumentationIsFresh(t *testing.T) {
	for path, want := range map[string]string{
		"../../docs/settings.md": settingsMarkdown(),
		"../../.env.example":     envExample(),
	} {
		have, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(have), "%s is stale: go generate ./cmd/dermaga", path)
	}
}

func TestExampleEnvironmentHasEveryServeSettingAndNoUsableSecret(t *testing.T) {
	text := envExample()
	for _, s := range table {
		if s.group != devGroup && s.group != dataGroup && s.group != clientGroup {
			require.True(t, strings.Contains(text, "\n"+s.env+"=") || strings.Contains(text, "\n#"+s.env+"="), s.env)
		}
	}
	require.Contains(t, text, "ENCRYPTION_KEY=CHANGE-ME\n")
}
