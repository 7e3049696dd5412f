// Package ledger keeps the books of one company in its own database: accounts,
// periods, journal entries, taxes by date, and the reports made of them. It knows
// neither HTTP nor tenants: who calls it hands over the pool of the right one.
//
// Every operation of several statements is one transaction, which is tried again
// when PostgreSQL gives up on it for the sake of another (serialization failure,
// deadlock). The rules that matter most are the database's own: a posted entry is
// balanced, is in an open period, and never changes. Their words reach the caller
// unchanged, as *pgconn.PgError.
//
// The order to read the files in: books.go (a transaction), refusal.go (errors),
// amount.go and date.go (exact values), users.go (who may what), accounts.go,
// periods.go, draft.go, taxes.go, entries.go, posting.go, reverse.go, then the
// reports: trialbalance.go, generalledger.go, profitandloss.go, balancesheet.go.
//
// Nothing here starts goroutines.
package ledger
