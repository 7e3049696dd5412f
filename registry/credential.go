package registry

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// RoleKind says what a role may do in its tenant's database.
type RoleKind string

const (
	Owner    RoleKind = "owner"    // changes the schema
	App      RoleKind = "app"      // reads and writes
	ReadOnly RoleKind = "readonly" // reads
)

// A Credential is a role and password of a tenant at its PostgreSQL server.
type Credential struct {
	TenantID   string
	Kind       RoleKind
	Generation int
	Role       string
	Password   Secret
}

const (
	retireCredentialSQL = `
UPDATE dermaga.credentials SET state = 'old'
WHERE tenant_id = $1::text::uuid AND kind = $2::text::dermaga.role_kind AND state = 'current' AND generation <> $3`
	putCredentialSQL = `
INSERT INTO dermaga.credentials (tenant_id, kind, generation, role, key_id, sealed)
VALUES ($1::text::uuid, $2::text::dermaga.role_kind, $3, $4, $5, $6)
ON CONFLICT (tenant_id, kind, generation) DO UPDATE SET role = $4, key_id = $5, sealed = $6, state = 'current', created_at = now()`
	currentCredentialSQL = `
SELECT generation, role, key_id, sealed FROM dermaga.credentials
WHERE tenant_id = $1::text::uuid AND kind = $2::text::dermaga.role_kind AND state = 'current'`
	removeCredentialsSQL = `DELETE FROM dermaga.credentials WHERE tenant_id = $1::text::uuid`
	removeLoginsSQL      = `DELETE FROM dermaga.logins WHERE tenant_id = $1::text::uuid`
)

func credentialBinding(tenantID string, kind RoleKind, generation int, role string) Binding {
	return Binding{TenantID: tenantID, Kind: string(kind), Generation: generation, Role: role}
}

// PutCredential seals c and makes it the one that new server connections use;
// the one before is kept as old. The same generation again is overwritten.
func (r *Registry) PutCredential(ctx context.Context, c Credential) error {
	keyID, sealed, err := r.keys.Seal(c.Password, credentialBinding(c.TenantID, c.Kind, c.Generation, c.Role))
	if err != nil {
		return fmt.Errorf("put credential: %w", err)
	}
	return r.inTx(ctx, "put credential", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, retireCredentialSQL, c.TenantID, string(c.Kind), c.Generation); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, putCredentialSQL, c.TenantID, string(c.Kind), c.Generation, c.Role, keyID, sealed)
		return err
	})
}

// CurrentCredential returns the credential in use, or ErrNotFound.
func (r *Registry) CurrentCredential(ctx context.Context, tenantID string, kind RoleKind) (Credential, error) {
	c := Credential{TenantID: tenantID, Kind: kind}
	var keyID string
	var sealed []byte
	err := r.pool.QueryRow(ctx, currentCredentialSQL, tenantID, string(kind)).Scan(&c.Generation, &c.Role, &keyID, &sealed)
	if err == nil {
		c.Password, err = r.keys.Open(keyID, sealed, credentialBinding(tenantID, kind, c.Generation, c.Role))
	}
	return c, explain(fmt.Sprintf("%s credential of tenant %s", kind, tenantID), err)
}

// RemoveAccess deletes a tenant's credentials and its own logins: what
// provisioning does when it fails.
func (r *Registry) RemoveAccess(ctx context.Context, tenantID string, act Act) error {
	return r.inTx(ctx, "remove access", func(tx pgx.Tx) error {
		credentials, err := tx.Exec(ctx, removeCredentialsSQL, tenantID)
		if err != nil {
			return err
		}
		logins, err := tx.Exec(ctx, removeLoginsSQL, tenantID)
		if err != nil || credentials.RowsAffected()+logins.RowsAffected() == 0 {
			return err
		}
		return record(ctx, tx, Activity{TenantID: tenantID, Actor: act.Actor, Action: "tenant.remove_access", Message: act.Message})
	})
}
