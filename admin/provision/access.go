package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/nusajournal/dermaga/registry"
)

// LoginName is the name of every tenant's own login. Which tenant it is, the
// slug says; a name made from the slug would become wrong with a rename.
const LoginName = "app"

// makeLogin makes the login with which clients of this tenant, and only they,
// reach the broker. Its password is not the server role's.
func makeLogin(ctx context.Context, j *Job) error {
	if j.password == "" {
		j.password = registry.NewPassword()
	}
	verifier, err := registry.NewVerifier(j.password)
	if err != nil {
		return fmt.Errorf("verifier of login %s: %w", j.login, err)
	}
	_, err = j.deps.Registry.PutLogin(ctx, registry.NewLogin{
		Name: j.login, TenantID: j.tenant.ID, Kind: registry.App, Verifier: verifier, Actor: j.req.Actor,
	})
	if err != nil {
		return fmt.Errorf("make login %s: %w", j.login, err)
	}
	return nil
}

// check proves that the tenant's login works, by the way its clients will take.
func check(ctx context.Context, j *Job) error {
	try := j.deps.Check
	if try == nil {
		try = j.checkDirectly
	}
	if err := try(ctx, j.tenant.Slug, j.login, j.password); err != nil {
		return fmt.Errorf("log in to the new tenant: %w", err)
	}
	return nil
}

// checkDirectly stands in for a broker: it finds the login's route and logs in
// to the server with the credential that is sealed there.
func (j *Job) checkDirectly(ctx context.Context, slug, login string, _ registry.Secret) error {
	entry, err := j.deps.Registry.LookupFresh(ctx, slug, login)
	if err != nil {
		return err
	}
	route := entry.Route
	switch {
	case route == nil:
		return errors.New("the registry has no route for it")
	case route.CredentialErr != nil:
		return route.CredentialErr
	}
	conn, err := connect(ctx, route.Server, route.Role, route.Password, route.Database)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	_, err = conn.Exec(ctx, "SELECT 1")
	return err
}

// activate lets clients in.
func activate(ctx context.Context, j *Job) error {
	if j.tenant.Status == registry.Active {
		return nil
	}
	act := registry.Act{Actor: j.req.Actor, Message: "provisioned and checked"}
	if err := j.deps.Registry.SetStatus(ctx, j.tenant.ID, registry.Active, act); err != nil {
		return err
	}
	fresh, err := j.deps.Registry.TenantByID(ctx, j.tenant.ID)
	if err != nil {
		return err
	}
	j.tenant = fresh
	return nil
}
