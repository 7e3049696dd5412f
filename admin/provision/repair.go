package provision

import (
	"context"
	"fmt"

	"github.com/jackc/pgerrcode"

	"github.com/nusajournal/dermaga/registry"
)

// repairActor is who the activities name: nobody asked, the broker noticed.
const repairActor = "broker"

// Repair gives the role of a route the password that the registry has sealed for
// it, because the server refused that password (28P01): a tenant's role can
// change its own, and so can a person at the server. Several instances may call
// it at once.
func Repair(ctx context.Context, deps Deps, route *registry.Route) error {
	err := rekey(ctx, deps, route)
	a := registry.Activity{
		TenantID: route.TenantID, ServerID: route.Server.ID, Actor: repairActor, Action: "credential.repair",
		Message: fmt.Sprintf("server %s refused the password of role %s: it has been set again", route.Server.Name, route.Role),
	}
	if err != nil {
		a.Outcome = "failed"
		a.Message = fmt.Sprintf("server %s refuses the password of role %s: %v", route.Server.Name, route.Role, err)
	}
	if recorded := deps.Registry.Record(ctx, a); recorded != nil && err == nil {
		return fmt.Errorf("record the repair: %w", recorded)
	}
	return err
}

// rekeyTries is for more instances than notice a changed password at once.
const rekeyTries = 20

func rekey(ctx context.Context, deps Deps, route *registry.Route) error {
	if route.CredentialErr != nil {
		return route.CredentialErr
	}
	verifier, err := registry.NewVerifier(route.Password)
	if err != nil {
		return fmt.Errorf("verifier for role %s: %w", route.Role, err)
	}
	conn, err := AsAdmin(ctx, deps.Registry, route.Server.ID)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	set := "ALTER ROLE " + quote(route.Role) + " LOGIN VALID UNTIL 'infinity' PASSWORD " + quoteLiteral(verifier)
	// Other instances may be updating the same row: one of those that meet gets
	// through each time.
	for range rekeyTries {
		if _, err = conn.Exec(ctx, set); !refused(err, pgerrcode.InternalError) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("set the password of role %s: %w", route.Role, err)
	}
	return nil
}
