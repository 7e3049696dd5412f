package admin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/nusajournal/dermaga/registry"
)

// made is the answer to a request that made something.
type made[B any] struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed" doc:"true: it was made by an earlier request with the same Idempotency-Key"`
	Body     B
}

// once does what a request asks for, or returns what the first request with this
// key got. A request that failed may be sent again with its key.
func once[B any](ctx context.Context, a *api, key, operation string, body any, do func() (*made[B], error)) (*made[B], error) {
	if key == "" {
		return do()
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, a.refuse(operation, err)
	}
	token, _ := ctx.Value(tokenKey{}).(registry.Token)
	q := registry.Request{TokenID: token.ID, Key: key, SHA256: sha256.Sum256(append([]byte(operation+"\n"), text...))}
	before, err := a.Registry.BeginRequest(ctx, q)
	if err != nil {
		return nil, a.refuse(operation, err)
	}
	if before != nil {
		return replay[B](before)
	}

	// What was made is made, and what was not is not, whether or not the caller
	// is still there to hear of it.
	afterwards := context.WithoutCancel(ctx)
	out, err := do()
	if err != nil {
		if e := a.Registry.AbandonRequest(afterwards, q); e != nil {
			a.Log.Warn(eventKey, keyOperation, operation, keyError, e)
		}
		return nil, err
	}
	text, err = json.Marshal(out.Body)
	if err == nil {
		err = a.Registry.FinishRequest(afterwards, q, registry.Response{
			Status: http.StatusCreated, Header: map[string]string{"Location": out.Location}, Body: text,
		})
	}
	if err != nil {
		a.Log.Warn(eventKey, keyOperation, operation, keyError, err)
	}
	return out, nil
}

func replay[B any](r *registry.Response) (*made[B], error) {
	out := &made[B]{Location: r.Header["Location"], Replayed: "true"}
	if err := json.Unmarshal(r.Body, &out.Body); err != nil {
		return nil, errors.Join(errors.New("the kept answer cannot be read"), err)
	}
	return out, nil
}
