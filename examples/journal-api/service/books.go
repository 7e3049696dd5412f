package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
	"github.com/nusajournal/dermaga/tenancy"
)

const notYours = "your session is not for this company"

// books opens the books of the request's company for the session's user, who must
// have at least the role need there.
func (s *service) books(ctx context.Context, need ledger.Role) (*ledger.Books, string, error) {
	tenant := tenancy.FromContext(ctx)
	email := sessionOf(ctx).Email
	if !sessionOf(ctx).May(tenant.Slug()) { // the wall says so as well, by the path
		return nil, "", &answer{http.StatusForbidden, notYours}
	}
	user, err := ledger.FindUser(ctx, tenant.Pool(), email)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, "", &answer{http.StatusForbidden, email + " is not among the users of " + tenant.Slug()}
	case err != nil:
		return nil, "", err
	case !user.May(need):
		return nil, "", &answer{http.StatusForbidden, fmt.Sprintf("%s is %s of %s: this takes %s", email, user.Role, tenant.Slug(), need)}
	}
	return ledger.Open(tenant.Pool(), user), tenant.Slug(), nil
}

func mayPost(u ledger.User) error {
	if u.May(ledger.Accountant) {
		return nil
	}
	return &answer{http.StatusForbidden, fmt.Sprintf("%s is %s: posting takes %s", u.Email, u.Role, ledger.Accountant)}
}
