package admin

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	maxBody     = 64 << 10 // bytes: the largest request is a tenant's few fields
	bodyTimeout = 10 * time.Second
)

// readBody reads the request's body before next sees it. The deadline is taken
// back afterwards: net/http keeps reading while the handler works, to notice a
// client that leaves, and a deadline that passes then would look like one.
func readBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		conn := http.NewResponseController(w)
		_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout)) // a recorder in a test has none
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		_ = conn.SetReadDeadline(time.Time{})
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			writeProblem(w, http.StatusRequestEntityTooLarge, "the request body is larger than 64 KiB")
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			writeProblem(w, http.StatusRequestTimeout, "the request body did not arrive within 10 seconds")
			return
		case err != nil:
			writeProblem(w, http.StatusBadRequest, "the request body could not be read")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}
