package ledger

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// An Account of the chart. Side is D where the account grows by debits, else K.
type Account struct {
	Code     string `json:"code" db:"code" example:"1-1100"`
	NameID   string `json:"nameId" db:"name_id" doc:"name in Indonesian" example:"Kas"`
	NameEN   string `json:"nameEn" db:"name_en" doc:"name in English" example:"Cash on hand"`
	Type     string `json:"type" db:"type" enum:"ASSET,LIABILITY,EQUITY,REVENUE,EXPENSE"`
	Side     string `json:"side" db:"side" enum:"D,K" doc:"the side it grows on: debit or kredit"`
	Parent   string `json:"parent,omitempty" db:"parent" doc:"code of the heading above"`
	Postable bool   `json:"postable" db:"postable" doc:"false for a heading, which takes no lines"`
	Contra   bool   `json:"contra" db:"contra" doc:"it is deducted from its group, as depreciation is"`
	Active   bool   `json:"active" db:"active"`
}

// Accounts returns the whole chart in the order of its codes.
func (b *Books) Accounts(ctx context.Context) ([]Account, error) {
	const list = `SELECT a.code, a.name_id, a.name_en, a.type::text, a.normal_side AS side, coalesce(p.code, '') AS parent,
		  a.is_postable AS postable, a.is_contra AS contra, a.active
		FROM accounts a LEFT JOIN accounts p ON p.id = a.parent_id ORDER BY a.code`
	rows, _ := b.pool.Query(ctx, list) // its error comes out of the rows
	return pgx.CollectRows(rows, pgx.RowToStructByName[Account])
}

// NewAccount is what AddAccount needs to know.
type NewAccount struct {
	Code   string `json:"code" pattern:"^[1-9]-[0-9]{4}$" example:"6-1220"`
	NameID string `json:"nameId" minLength:"1" maxLength:"200" example:"Beban Parkir dan Tol"`
	NameEN string `json:"nameEn,omitempty" maxLength:"200" example:"Parking and tolls"`
	Contra bool   `json:"contra,omitempty"`
}

var accountCode = regexp.MustCompile(`^[1-9]-[0-9]{4}$`)

// kinds is what the first digit of a code says: the reports rely on it.
var kinds = map[byte]struct{ kind, side string }{
	'1': {"ASSET", "D"}, '2': {"LIABILITY", "K"}, '3': {"EQUITY", "K"},
	'4': {"REVENUE", "K"}, '7': {"REVENUE", "K"},
	'5': {"EXPENSE", "D"}, '6': {"EXPENSE", "D"}, '8': {"EXPENSE", "D"}, '9': {"EXPENSE", "D"},
}

// AddAccount adds an account that takes lines. Its type follows from its code,
// and it hangs below the last heading before it.
func (b *Books) AddAccount(ctx context.Context, n NewAccount) (Account, error) {
	n.NameID, n.NameEN = strings.TrimSpace(n.NameID), strings.TrimSpace(n.NameEN)
	switch {
	case !accountCode.MatchString(n.Code):
		return Account{}, refuse("account code %q is not like 6-1220", shorten(n.Code))
	case n.NameID == "":
		return Account{}, refuse("account %s needs a name", n.Code)
	}
	if n.NameEN == "" {
		n.NameEN = n.NameID
	}
	k := kinds[n.Code[0]]
	if n.Contra {
		k.side = map[string]string{"D": "K", "K": "D"}[k.side]
	}
	const insert = `INSERT INTO accounts (code, name_id, name_en, type, normal_side, is_contra, parent_id)
		VALUES ($1, $2, $3, $4::text::account_type, $5, $6,
		  (SELECT id FROM accounts WHERE NOT is_postable AND left(code, 1) = left($1, 1) AND code < $1 ORDER BY code DESC LIMIT 1))
		ON CONFLICT (code) DO NOTHING
		RETURNING coalesce((SELECT p.code FROM accounts p WHERE p.id = accounts.parent_id), '')`
	a := Account{
		Code: n.Code, NameID: n.NameID, NameEN: n.NameEN, Type: k.kind, Side: k.side,
		Postable: true, Contra: n.Contra, Active: true,
	}
	err := b.change(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, insert, n.Code, n.NameID, n.NameEN, k.kind, k.side, n.Contra).Scan(&a.Parent)
		if errors.Is(err, pgx.ErrNoRows) {
			return conflict("account %s exists already", n.Code)
		}
		if err != nil {
			return err
		}
		return b.note(ctx, tx, "ADD", "account", n.Code)
	})
	return a, err
}
