package slug_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nusajournal/dermaga/registry/slug"
)

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "7", "pt-media-nusa", "0-0", "a1-b2-c3", "v2", "apis", strings.Repeat("x", slug.MaxLen)} {
		require.NoError(t, slug.Check(s), s)
	}
}

func TestCheckNamesTheBrokenRuleAndTheValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ slug, rule string }{
		{"", "empty"},
		{strings.Repeat("x", slug.MaxLen+1), "at most 49"},
		{"PT-Media", `the character 'P'`},
		{"a_b", `the character '_'`},
		{"a b", `the character ' '`},
		{"a\x00b", `the character '\x00'`},
		{"é", `the character 'é'`},
		{"a\xff", `only a-z, 0-9 and -`},
		{"a\n", `the character '\n'`},
		{"-a", "starts with -"},
		{"a-", "ends with -"},
		{"-", "starts with -"},
		{"a--b", "has --"},
		{"postgres", "reserved"},
		{"v1", "reserved"},
	} {
		err := slug.Check(c.slug)
		require.ErrorContains(t, err, c.rule, c.slug)
		if c.slug != "" && len(c.slug) <= slug.MaxLen {
			require.ErrorContains(t, err, strconv.Quote(c.slug))
		}
		require.Less(t, len(err.Error()), 200, "a stranger's value must not fill the log")
	}
}

func TestReservedIsACopy(t *testing.T) {
	t.Parallel()
	slug.Reserved()[0] = "x"
	require.True(t, slices.IsSorted(slug.Reserved()))
	for _, s := range slug.Reserved() {
		require.ErrorContains(t, slug.Check(s), "reserved")
	}
}

var shape = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"", "a", "a-b", "a--b", "-", "postgres", "A", "é", "a\x00", strings.Repeat("a-", 25)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := shape.MatchString(s) && len(s) <= slug.MaxLen && !slices.Contains(slug.Reserved(), s)
		require.Equal(t, want, slug.Check(s) == nil, "%q", s)
	})
}
