package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nusajournal/dermaga/registry"
)

// Deps are what provisioning works with.
type Deps struct {
	Registry *registry.Registry

	// Check logs in as a client would, through the broker's own path, before
	// the tenant is ACTIVE. nil: the process has no broker, and what the broker
	// would do is done here, without its pool.
	Check func(ctx context.Context, slug, login string, password registry.Secret) error

	// Prefix of database names; "": registry.DefaultPrefix.
	Prefix string

	// Log gets a line for each tenant made or given up. nil discards.
	Log *slog.Logger
}

// Request says which tenant to make. Zero values mean: the plan's, the default.
type Request struct {
	Slug       string
	Name       string // "": the slug
	Plan       string // "": STARTER
	Server     string // a server's name; "": the registry chooses
	PoolSize   int
	PoolMode   string
	MaxClients int

	// Password of the tenant's login; "": a random one. `dermaga dev` keeps its
	// own before the tenant exists, so that no crash can lose it.
	Password registry.Secret

	Actor string // who asks, for the activities
}

// Result is a tenant that works.
type Result struct {
	Tenant   registry.Tenant
	Login    string
	Password registry.Secret // in clear only here
}

// ErrProvisioned says that Resume met a tenant that has been in use.
var ErrProvisioned = errors.New("tenant has been provisioned already")

// Invalid is a request that cannot be carried out, with all that is wrong in
// it. It is a registry.ErrInvalid.
type Invalid struct{ Faults []error }

func (i *Invalid) Error() string {
	texts := make([]string, len(i.Faults))
	for k, f := range i.Faults {
		texts[k] = f.Error()
	}
	return strings.Join(texts, "; ")
}

// Is makes errors.Is(err, registry.ErrInvalid) true.
func (i *Invalid) Is(target error) bool { return target == registry.ErrInvalid }

// A Failure is a run that was given up, with what became of it.
type Failure struct {
	Step  string
	Cause error
	Undo  error // nil: nothing is left but the SUSPENDED row
}

func (f *Failure) Error() string {
	if f.Undo != nil {
		return fmt.Sprintf("provisioning failed at step %s: %v; and not everything could be removed: %v", f.Step, f.Cause, f.Undo)
	}
	return fmt.Sprintf("provisioning failed at step %s: %v", f.Step, f.Cause)
}

func (f *Failure) Unwrap() []error { return []error{f.Cause, f.Undo} }

// Tenant makes a new tenant. A slug that is in use is registry.ErrSlugTaken, an
// impossible request registry.ErrInvalid; both leave nothing behind, while any
// later fault is a *Failure. If ctx ends, the run is undone before Tenant
// returns.
func Tenant(ctx context.Context, deps Deps, req Request) (Result, error) {
	return Run(ctx, deps, req, Steps())
}

// Resume makes the tenant of req, on what an earlier run that failed or was
// killed left of it. A tenant that was ever ACTIVE is ErrProvisioned, one whose
// run is still at work ErrRunning.
func Resume(ctx context.Context, deps Deps, req Request) (Result, error) {
	j := newJob(deps, req)
	j.resume = true
	return j.run(ctx, Steps())
}

// Provisioned reports whether the tenant was ever finished: one that was not has
// no database to go back to.
func Provisioned(ctx context.Context, reg *registry.Registry, tenantID string) (bool, error) {
	const ever = `SELECT EXISTS (SELECT FROM dermaga.activities
	  WHERE tenant_id = $1::text::uuid AND action = 'provision.activate' AND outcome = 'ok')`
	var yes bool
	if err := reg.Pool().QueryRow(ctx, ever, tenantID).Scan(&yes); err != nil {
		return false, fmt.Errorf("history of tenant %s: %w", tenantID, err)
	}
	return yes, nil
}

// Run is Tenant over a given list of steps.
func Run(ctx context.Context, deps Deps, req Request, steps []Step) (Result, error) {
	return newJob(deps, req).run(ctx, steps)
}

// A Job is one run: what the steps before have found and made. It belongs to
// the goroutine of its run.
type Job struct {
	deps   Deps
	req    Request
	resume bool

	plan   registry.Plan
	tenant registry.Tenant // from the step register on
	server registry.Server
	roles  registry.Roles

	login    string
	password registry.Secret

	madeDatabase bool // CREATE DATABASE was sent, whatever came of it

	admin    *pgx.Conn // to the server's maintenance database
	inside   *pgx.Conn // to the tenant's database
	leased   *pgx.Conn // to the registry, with the lock of the slug
	backends []int32   // process ids of all connections so far, see settle

	reason string // why the run is given up
}

func newJob(deps Deps, req Request) *Job {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if req.Actor == "" {
		req.Actor = "provisioning"
	}
	return &Job{deps: deps, req: req, login: LoginName, password: req.Password}
}

func (j *Job) run(ctx context.Context, steps []Step) (Result, error) {
	defer j.handBack() // after everything else, undoing included
	defer j.hangUp()
	for i, s := range steps {
		if err := j.take(ctx, s); err != nil {
			return Result{}, j.giveUp(ctx, s.Name, err, steps[:i+1])
		}
	}
	j.deps.Log.Info(eventMade, keyTenant, j.tenant.Slug, keyDatabase, j.tenant.Database, keyServer, j.server.Name)
	return Result{Tenant: j.tenant, Login: j.login, Password: j.password}, nil
}

// stepLimit is far beyond what a step needs: a server that hangs must not hold
// a run for ever.
const stepLimit = 2 * time.Minute

func (j *Job) take(ctx context.Context, s Step) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepLimit, fmt.Errorf("the step took longer than %s", stepLimit))
	defer cancel()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	err := s.Do(ctx, j)
	if err == nil {
		err = j.record(ctx, s.Name, "ok", "")
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// record writes the activity of a step. Before there is a row, there is nothing
// that it could be about.
func (j *Job) record(ctx context.Context, step, outcome, message string) error {
	if j.tenant.ID == "" {
		return nil
	}
	err := j.deps.Registry.Record(ctx, registry.Activity{
		TenantID: j.tenant.ID, ServerID: j.server.ID, Actor: j.req.Actor,
		Action: "provision." + step, Outcome: outcome, Message: message,
	})
	if err != nil {
		return fmt.Errorf("record step %s: %w", step, err)
	}
	return nil
}

// hangUp closes the run's connections.
func (j *Job) hangUp() {
	for _, conn := range []**pgx.Conn{&j.inside, &j.admin} {
		if *conn != nil {
			closeConn(*conn)
			*conn = nil
		}
	}
}
