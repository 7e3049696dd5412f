package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nusajournal/dermaga/admin/client"
	"github.com/nusajournal/dermaga/admin/provision"
	"github.com/nusajournal/dermaga/registry"
)

type createLoginInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"A second request with the same key gets the first one's answer"`
	Body client.NewLogin
}

func (a *api) createLogin(ctx context.Context, in *createLoginInput) (*made[client.LoginWithPassword], error) {
	b := in.Body
	asked := registry.Login{Service: b.Service, Replication: b.Replication, Kind: registry.RoleKind(b.Role)}
	if err := mayChange(ctx, asked); err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, "create-login", b, func() (*made[client.LoginWithPassword], error) {
		n, grants, err := a.newLogin(ctx, b)
		if err != nil {
			return nil, err
		}
		if n.Kind == registry.Owner {
			if err := provision.Owner(ctx, a.Provision, n.TenantID, n.Actor); err != nil {
				return nil, a.refuse("create-login", ofServer(err))
			}
		}
		l, password, err := a.Registry.CreateLogin(ctx, n)
		if errors.Is(err, registry.ErrConflict) {
			return nil, huma.NewError(http.StatusConflict, "a login "+n.Name+" exists already: choose another name, or rotate its password")
		}
		if err == nil {
			err = a.grantNew(ctx, l, grants)
		}
		if err != nil {
			return nil, a.refuse("create-login", err)
		}
		body, err := a.withPassword(ctx, l, password)
		if err != nil {
			return nil, a.refuse("create-login", err)
		}
		return &made[client.LoginWithPassword]{Location: loginLocation(body.Login), Body: body}, nil
	})
}

// newLogin finds all that is wrong with a login before it is made.
func (a *api) newLogin(ctx context.Context, b client.NewLogin) (registry.NewLogin, []string, error) {
	n := registry.NewLogin{
		Name: b.Name, Kind: registry.RoleKind(b.Role), PoolMode: b.PoolMode, MaxClients: b.MaxClients, Console: b.Console,
		Replication: b.Replication, ExpiresAt: value(b.ExpiresAt), Actor: actor(ctx),
	}
	var faults []error
	refuse := func(broken bool, format string, args ...any) {
		if broken {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	refuse(b.Name == "", "a login needs a name")
	refuse((b.Tenant == "") == !b.Service, "a login belongs to a tenant or is a service's: say which of the two")
	refuse(!b.Service && len(b.Grants) > 0, "a tenant's own login takes no grants")
	switch n.Kind {
	case "", registry.App, registry.ReadOnly:
	case registry.Owner:
		refuse(b.Service, "role owner: a service login would own nothing; want app or readonly")
	default:
		refuse(true, "role %q: want app, readonly or owner", b.Role)
	}
	refuse(b.Console != "" && b.Console != "stats" && b.Console != "admin", "console %q: want stats or admin", b.Console)
	refuse(!n.ExpiresAt.IsZero() && n.ExpiresAt.Before(time.Now()), "it expires at %s, which has passed", n.ExpiresAt.Format(time.RFC3339))
	if err := provision.CheckLimits(0, b.MaxClients, b.PoolMode); err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return n, nil, a.refuse("create-login", &provision.Invalid{Faults: faults})
	}
	if b.Tenant != "" {
		t, err := a.find(ctx, b.Tenant)
		if err != nil {
			return n, nil, err
		}
		n.TenantID = t.ID
	}
	return n, b.Grants, a.knownTenants(ctx, b.Grants)
}

// ofServer is err as the tenant's server's, where that has answered.
func ofServer(err error) error {
	var answered *pgconn.PgError
	var unreached *pgconn.ConnectError
	if errors.As(err, &answered) || errors.As(err, &unreached) {
		return fmt.Errorf("%w: %w", errTenantServer, err)
	}
	return err
}

// grantNew grants what a new login was to have; if that fails there is no login.
func (a *api) grantNew(ctx context.Context, l registry.Login, tenants []string) error {
	if len(tenants) == 0 {
		return nil
	}
	act := registry.Act{Actor: actor(ctx)}
	err := a.grant(ctx, l.ID, tenants, act)
	if err != nil {
		act.Message = "its grants could not be made"
		err = errors.Join(err, a.Registry.DeleteLogin(context.WithoutCancel(ctx), l.ID, act))
	}
	return err
}

type rotateInput struct {
	LoginPath
	Body *client.Rotation
}

type passwordOutput struct{ Body client.LoginWithPassword }

func (a *api) rotateLogin(ctx context.Context, in *rotateInput) (*passwordOutput, error) {
	l, err := a.findLogin(ctx, &in.LoginPath)
	if err != nil {
		return nil, err
	}
	if err := mayChange(ctx, l); err != nil {
		return nil, err
	}
	return a.rotate(ctx, "rotate-login", l, value(in.Body))
}

type resetInput struct {
	Slug string `path:"slug"`
	Body *client.Rotation
}

// resetPassword is rotateLogin for the login that came with the tenant.
func (a *api) resetPassword(ctx context.Context, in *resetInput) (*passwordOutput, error) {
	l, err := a.findLogin(ctx, &LoginPath{Name: provision.LoginName, Tenant: in.Slug})
	if err != nil {
		return nil, err
	}
	return a.rotate(ctx, "reset-password", l, value(in.Body))
}

func (a *api) rotate(ctx context.Context, what string, l registry.Login, r client.Rotation) (*passwordOutput, error) {
	overlap := time.Duration(r.OverlapSeconds) * time.Second
	l, password, err := a.Registry.RotateLogin(ctx, l.ID, overlap, registry.Act{Actor: actor(ctx)})
	if err != nil {
		return nil, a.refuse(what, err)
	}
	body, err := a.withPassword(ctx, l, password)
	if err != nil {
		return nil, a.refuse(what, err)
	}
	// The new password is to work when the answer arrives.
	if _, err := a.acknowledged(ctx); err != nil {
		a.Log.Warn(eventNotWaited, keyOperation, what, keyError, err)
	}
	return &passwordOutput{Body: body}, nil
}

// anySlug stands in a service login's URL for the tenant.
const anySlug = "{slug}"

func (a *api) withPassword(ctx context.Context, l registry.Login, password registry.Secret) (client.LoginWithPassword, error) {
	body, err := a.loginBody(ctx, l)
	if err != nil {
		return client.LoginWithPassword{}, err
	}
	slug := body.Tenant
	if l.Service {
		slug = anySlug
	}
	url := strings.ReplaceAll(a.TenantURL(slug, l.Name, password), "%7Bslug%7D", anySlug)
	return client.LoginWithPassword{Login: body, Password: password.Reveal(), URL: url}, nil
}
