package service

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/nusajournal/dermaga/examples/journal-api/session"
)

// maxPassword bounds what is hashed, in bytes.
const maxPassword = 200

type loggedIn struct {
	Token   string    `json:"token" doc:"for the header Authorization: Bearer …"`
	Expires time.Time `json:"expires"`
	Tenants []string  `json:"tenants" doc:"slugs of the companies that it is good for"`
}

func (s *service) addLogin(ops huma.API) {
	type in struct {
		Body struct {
			Email    string `json:"email" maxLength:"200" example:"siti@example.com"`
			Password string `json:"password" maxLength:"200"`
		}
	}
	huma.Register(ops, huma.Operation{
		Method: http.MethodPost, Path: "/auth/login", OperationID: "login", Summary: "Exchange a password for a token",
		DefaultStatus: http.StatusOK, Errors: []int{http.StatusUnauthorized}, Security: []map[string][]string{},
	}, func(ctx context.Context, in *in) (*reply[loggedIn], error) {
		token, now, err := s.login(ctx, in.Body.Email, in.Body.Password)
		if err != nil {
			return nil, s.refuse(ctx, err)
		}
		return &reply[loggedIn]{loggedIn{token, now.Expires, now.Tenants}}, nil
	})
}

// login checks a password and issues a token. A failure is logged, so that guessing
// shows, but not what was typed: people type a password where the address belongs.
func (s *service) login(ctx context.Context, email, password string) (string, session.Session, error) {
	if len(password) > maxPassword {
		return "", session.Session{}, &answer{http.StatusUnauthorized, session.ErrLogin.Error()}
	}
	user, err := s.Users.Login(ctx, email, password)
	if errors.Is(err, session.ErrLogin) {
		s.Log.Warn("login_refused")
		return "", session.Session{}, &answer{http.StatusUnauthorized, err.Error()}
	}
	if err != nil {
		return "", session.Session{}, err
	}
	token, now := s.Tokens.Issue(user, time.Now())
	s.Log.Info("login", "user", user.Email)
	return token, now, nil
}

// loginForm shows the form.
func (s *service) loginForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "login", page{Title: "Log in", Data: loginData{Next: localPath(r.FormValue("next"))}})
}

type loginData struct{ Email, Next, Fault string }

// loginSubmit sets the cookie and goes to where the user wanted to be.
func (s *service) loginSubmit(w http.ResponseWriter, r *http.Request) {
	data := loginData{Email: r.FormValue("email"), Next: localPath(r.FormValue("next"))}
	token, now, err := s.login(r.Context(), data.Email, r.FormValue("password"))
	if err != nil {
		status, detail, _ := explain(err)
		s.report(r.Context(), status, err)
		data.Fault = detail
		s.render(w, r, status, "login", page{Title: "Log in", Data: data})
		return
	}
	http.SetCookie(w, s.cookie(token, now.Expires))
	http.Redirect(w, r, data.Next, http.StatusSeeOther)
}

// logout takes the cookie away. The token itself lives until it expires.
func (s *service) logout(w http.ResponseWriter, r *http.Request) {
	gone := s.cookie("", time.Time{})
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	http.Redirect(w, r, "/auth/login", http.StatusSeeOther)
}

// localPath returns next if it is an address on this host, or else "/": a link to
// the login must not lead elsewhere after it.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
