package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nusajournal/dermaga/registry"
	"github.com/nusajournal/dermaga/registry/slug"
)

// A Step is one part of a run. Do may run again on what it made before. Undo
// takes away what Do made, all or part of it, and looks whether it is gone; nil
// means that an earlier step's Undo takes it along.
type Step struct {
	Name string
	Do   func(context.Context, *Job) error
	Undo func(context.Context, *Job) error
}

// Steps is the list, in order. Its Undos run from the last one back, so that
// the database is gone before the roles it names, and the row says SUSPENDED
// when nothing else is left.
func Steps() []Step {
	return []Step{
		{Name: "validate", Do: validate},
		{Name: "register", Do: register, Undo: suspend},
		{Name: "roles", Do: makeRoles, Undo: dropRoles},
		{Name: "database", Do: makeDatabase, Undo: dropDatabase},
		{Name: "limits", Do: setLimits},
		{Name: "schema", Do: prepareSchema},
		{Name: "migrate", Do: migrate, Undo: forgetMigrations},
		{Name: "seed", Do: seed},
		{Name: "login", Do: makeLogin},
		{Name: "open", Do: openDatabase},
		{Name: "check", Do: check},
		{Name: "activate", Do: activate, Undo: withdraw},
	}
}

// The most that a tenant can ask for itself; larger numbers are mistakes.
const (
	maxName     = 200 // characters
	maxPoolSize = 1000
	maxClients  = 100_000
	defaultPlan = "STARTER"
)

// allTenants is a word of the grants of service logins.
const allTenants = "all"

// validate finds all faults of the request, before anything is made.
func validate(ctx context.Context, j *Job) error {
	r := &j.req
	if r.Name == "" {
		r.Name = r.Slug
	}
	if r.Plan == "" {
		r.Plan = defaultPlan
	}
	var faults []error
	if err := slug.Check(r.Slug); err != nil {
		faults = append(faults, err)
	}
	if r.Slug == allTenants {
		faults = append(faults, fmt.Errorf("slug %q stands for every tenant where logins are granted some: choose another", r.Slug))
	}
	if n := utf8.RuneCountInString(r.Name); n > maxName || strings.ContainsFunc(r.Name, control) {
		faults = append(faults, fmt.Errorf("name has %d characters: up to %d are allowed, no control characters", n, maxName))
	}
	faults = append(faults, limitFaults(r.PoolSize, r.MaxClients, r.PoolMode)...)
	plan, err := j.deps.Registry.PlanByName(ctx, r.Plan)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		faults = append(faults, fmt.Errorf("plan %q is unknown: want one of %s", r.Plan, j.planNames(ctx)))
	case err != nil:
		return fmt.Errorf("look for plan %s: %w", r.Plan, err)
	}
	j.plan = plan
	if len(faults) > 0 {
		return &Invalid{Faults: faults}
	}
	return nil
}

// CheckLimits finds what is wrong with limits of a tenant's own, zero meaning
// the plan's. Its error is an *Invalid.
func CheckLimits(poolSize, clients int, poolMode string) error {
	if faults := limitFaults(poolSize, clients, poolMode); len(faults) > 0 {
		return &Invalid{Faults: faults}
	}
	return nil
}

func limitFaults(poolSize, clients int, poolMode string) (faults []error) {
	if poolSize < 0 || poolSize > maxPoolSize {
		faults = append(faults, fmt.Errorf("pool size %d: want 1 to %d, or 0 for the plan's", poolSize, maxPoolSize))
	}
	if clients < 0 || clients > maxClients {
		faults = append(faults, fmt.Errorf("max clients %d: want 1 to %d, or 0 for the plan's", clients, maxClients))
	}
	if poolMode != "" && !slices.Contains(registry.PoolModes, poolMode) {
		faults = append(faults, fmt.Errorf("pool mode %q: want one of %s", poolMode, strings.Join(registry.PoolModes, ", ")))
	}
	return faults
}

func control(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }

func (j *Job) planNames(ctx context.Context) string {
	plans, err := j.deps.Registry.Plans(ctx)
	if err != nil {
		return "those of the registry"
	}
	names := make([]string, len(plans))
	for i, p := range plans {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// register writes the tenant's row, which reserves its slug and the name of its
// database, and finds the server it was placed on.
func register(ctx context.Context, j *Job) error {
	if err := j.findOrCreate(ctx); err != nil {
		return err
	}
	server, err := j.deps.Registry.ServerByID(ctx, j.tenant.ServerID)
	if err != nil {
		return fmt.Errorf("server of tenant %s: %w", j.tenant.Slug, err)
	}
	j.server = server
	return nil
}

func (j *Job) findOrCreate(ctx context.Context) error {
	if j.tenant.ID != "" {
		return nil // this run's own
	}
	if err := j.lease(ctx); err != nil {
		return err
	}
	r := j.req
	made, err := j.deps.Registry.CreateTenant(ctx, registry.NewTenant{
		Slug: r.Slug, Name: r.Name, Plan: r.Plan, Server: r.Server, Prefix: j.deps.Prefix, Actor: r.Actor,
		Overrides: registry.Overrides{PoolSize: r.PoolSize, MaxClients: r.MaxClients, PoolMode: r.PoolMode},
	})
	if errors.Is(err, registry.ErrSlugTaken) && j.resume {
		return j.takeUp(ctx)
	}
	if err != nil {
		return err
	}
	j.tenant = made
	return nil
}

// takeUp continues with the row of an earlier run.
func (j *Job) takeUp(ctx context.Context) error {
	old, err := j.deps.Registry.TenantBySlug(ctx, j.req.Slug)
	if err != nil {
		return fmt.Errorf("look for tenant %s: %w", j.req.Slug, err)
	}
	used, err := Provisioned(ctx, j.deps.Registry, old.ID)
	if err != nil {
		return err
	}
	if used || old.Status == registry.Active || old.Status == registry.Deleted {
		return fmt.Errorf("tenant %s is %s: %w", old.Slug, old.Status, ErrProvisioned)
	}
	if old.Status == registry.Suspended {
		act := registry.Act{Actor: j.req.Actor, Message: "provisioning is tried again"}
		if err := j.deps.Registry.SetStatus(ctx, old.ID, registry.Provisioning, act); err != nil {
			return err
		}
		old.Status = registry.Provisioning
	}
	j.tenant = old
	return nil
}
