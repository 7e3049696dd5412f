package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
	"github.com/nusajournal/dermaga/examples/journal-api/session"
	"github.com/nusajournal/dermaga/tenancy"
)

// user puts one into the companies' tables and then into the file, so that who is
// in the file can work.
func user(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) (err error) {
	flags := flag.NewFlagSet("journal-api user", flag.ContinueOnError)
	flags.SetOutput(errs)
	path := flags.String("users", "users.json", "the file of users")
	email := flags.String("email", "", "e-mail address to log in with")
	name := flags.String("name", "", "name to show")
	role := flags.String("role", string(ledger.Accountant), "VIEWER, STAFF, ACCOUNTANT or OWNER of the companies")
	tenants := flags.String("tenants", "", "slugs of companies, with commas between them")
	if err := flags.Parse(args); err != nil {
		return quiet(err)
	}
	if *email == "" || *name == "" || *tenants == "" {
		return errors.New("user needs -email, -name and -tenants")
	}
	password, err := bufio.NewReader(io.LimitReader(in, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("password from standard input: %w", err)
	}
	hash, err := session.HashPassword(strings.TrimRight(password, "\r\n"))
	if err != nil {
		return fmt.Errorf("password from standard input: %w", err)
	}
	list, err := session.ReadUsers(*path)
	if err != nil {
		return err
	}
	slugs := strings.Split(*tenants, ",")
	list = session.Put(list, session.User{Email: *email, Password: hash, Tenants: slugs})
	if _, err := session.NewUsers(list); err != nil {
		return err
	}

	clients, err := tenancy.Open(tenancy.Config{URL: os.Getenv(brokerURL)})
	if err != nil {
		return fmt.Errorf("%s: %w", brokerURL, err)
	}
	defer func() { err = errors.Join(err, clients.Close(context.WithoutCancel(ctx))) }()
	for _, slug := range slugs {
		if err := putUser(ctx, clients, slug, ledger.User{Email: *email, Name: *name, Role: ledger.Role(*role)}); err != nil {
			return fmt.Errorf("company %s: %w", slug, err)
		}
	}
	if err := session.WriteUsers(*path, list); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is %s of %s.\n", *email, *role, strings.Join(slugs, ", "))
	return err
}

func putUser(ctx context.Context, clients *tenancy.Clients, slug string, u ledger.User) error {
	tenant, err := clients.Get(ctx, slug)
	if err != nil {
		return err
	}
	defer tenant.Release()
	return ledger.PutUser(ctx, tenant.Pool(), u)
}

// quiet turns "-h" into success: flag has printed the help.
func quiet(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}
