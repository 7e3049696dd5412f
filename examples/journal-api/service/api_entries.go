package service

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/examples/journal-api/ledger"
)

type entries struct {
	Entries []ledger.Entry `json:"entries"`
	Before  int64          `json:"before,omitempty" doc:"if there may be more: the parameter before of the next page"`
}

type newEntry struct {
	ledger.Draft
	Post     bool   `json:"post,omitempty" doc:"post it at once: takes the role ACCOUNTANT"`
	Document string `json:"document,omitempty" enum:"JU,BKM,BKK,INV,BILL" doc:"kind of document that it is numbered as, when it is posted (default: JU)"`
}

func (s *service) addEntries(ops huma.API) {
	type inList struct {
		InCompany
		From   ledger.Date `query:"from" format:"date"`
		To     ledger.Date `query:"to" format:"date"`
		Status string      `query:"status" enum:"DRAFT,POSTED,REVERSED"`
		Before int64       `query:"before" minimum:"0"`
		Limit  int         `query:"limit" minimum:"1" maximum:"500" default:"100"`
	}
	get(s, ops, "/entries", "List journal entries, the youngest first",
		func(ctx context.Context, b *ledger.Books, in *inList) (out entries, err error) {
			out.Entries, err = b.Entries(ctx, ledger.EntryFilter{
				From: in.From, To: in.To, Status: in.Status, Before: in.Before, Limit: in.Limit,
			})
			if n := len(out.Entries); n == in.Limit {
				out.Before = out.Entries[n-1].ID
			}
			return out, err
		})
	get(s, ops, "/entries/{id}", "Show an entry with its lines",
		func(ctx context.Context, b *ledger.Books, in *InEntry) (ledger.Entry, error) {
			return b.Entry(ctx, in.ID)
		})

	type inNew struct {
		InCompany
		Body newEntry
	}
	post(s, ops, "/entries", "Draft an entry, or draft and post it", http.StatusCreated, ledger.Staff,
		func(ctx context.Context, b *ledger.Books, in *inNew) (ledger.Entry, error) {
			return addEntry(ctx, b, in.Body)
		})

	type inPost struct {
		InEntry
		Body *struct {
			Document string `json:"document,omitempty" enum:"JU,BKM,BKK,INV,BILL"`
		}
	}
	post(s, ops, "/entries/{id}/post", "Post a draft: it gets its number and never changes again", http.StatusOK, ledger.Accountant,
		func(ctx context.Context, b *ledger.Books, in *inPost) (ledger.Entry, error) {
			if in.Body == nil {
				return b.Post(ctx, in.ID, "")
			}
			return b.Post(ctx, in.ID, in.Body.Document)
		})

	type inReverse struct {
		InEntry
		Body struct {
			Date        ledger.Date `json:"date" format:"date" doc:"of the reversal"`
			Description string      `json:"description,omitempty" maxLength:"1000"`
		}
	}
	post(s, ops, "/entries/{id}/reverse", "Post the opposite of a posted entry", http.StatusCreated, ledger.Accountant,
		func(ctx context.Context, b *ledger.Books, in *inReverse) (ledger.Entry, error) {
			return b.Reverse(ctx, in.ID, in.Body.Date, in.Body.Description)
		})

	register(s, ops, http.MethodDelete, "/entries/{id}", "Discard a draft", http.StatusOK, ledger.Staff,
		func(ctx context.Context, b *ledger.Books, in *InEntry) (struct{}, error) {
			return struct{}{}, b.Discard(ctx, in.ID)
		})
}

// addEntry serves the API and the page's form.
func addEntry(ctx context.Context, b *ledger.Books, e newEntry) (ledger.Entry, error) {
	if !e.Post {
		return b.Add(ctx, e.Draft)
	}
	if err := mayPost(b.Actor()); err != nil {
		return ledger.Entry{}, err
	}
	return b.AddPosted(ctx, e.Draft, e.Document)
}
