package ledger

import (
	"errors"
	"fmt"
)

// ErrNotFound says that there is no such account, period or entry.
var ErrNotFound = errors.New("not found")

// A Refusal is a request that breaks a rule of bookkeeping, in words for the one
// who made it.
type Refusal struct {
	Text     string
	Conflict bool // not the request is wrong, but what it meets
}

func (r *Refusal) Error() string { return r.Text }

func refuse(format string, args ...any) error {
	return &Refusal{Text: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &Refusal{Text: fmt.Sprintf(format, args...), Conflict: true}
}

func notFound(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrNotFound)...)
}
