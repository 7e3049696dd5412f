package model_test

import (
	"flag"
	"strconv"
	"testing"

	"github.com/nusajournal/dermaga/internal/pgtest"
)

// How many sequences are played where -rapid.checks does not say: some twenty
// seconds, and half an hour where nothing else runs.
const (
	few  = 1_000
	many = 100_000
)

// long makes the test as large as its claim; make soak sets it.
var long = flag.Bool("long", false, "play 100,000 sequences")

func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" })
	if !said {
		n := few
		if *long {
			n = many
		}
		if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
			panic(err)
		}
	}
	pgtest.Main(m)
}
