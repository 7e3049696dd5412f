package tenancy

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// source finds the slug in a request, "" if there is none, and says what the request
// is without it.
type source func(r *http.Request) (slug string, rest *http.Request)

// fromPath takes the first segment of the path. It is not unescaped: a slug has
// nothing to escape, and what is escaped is none.
func fromPath(r *http.Request) (string, *http.Request) {
	slug, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	rest := new(http.Request)
	*rest = *r
	rest.URL = new(url.URL)
	*rest.URL = *r.URL
	rest.URL.Path = orRoot(strings.TrimPrefix(r.URL.Path, "/"+slug))
	if r.URL.RawPath != "" {
		rest.URL.RawPath = orRoot(strings.TrimPrefix(r.URL.RawPath, "/"+slug))
	}
	return slug, rest
}

func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// fromHost takes what stands before the suffix in the host's name.
func fromHost(suffix string) source {
	suffix = "." + strings.ToLower(strings.Trim(suffix, "."))
	return func(r *http.Request) (string, *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		slug, ok := strings.CutSuffix(strings.ToLower(host), suffix)
		if !ok {
			return "", r
		}
		return slug, r
	}
}

// fromHeader takes the header's value, if it stands there once: of two, each proxy
// and each framework would take another.
func fromHeader(name string) source {
	return func(r *http.Request) (string, *http.Request) {
		if values := r.Header.Values(name); len(values) == 1 {
			return values[0], r
		}
		return "", r
	}
}
