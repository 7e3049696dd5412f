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
	said := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { said[f.Name] = true })
	set := func(name, value string) {
		if said[name] {
			return
		}
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	if *long {
		set("rapid.checks", strconv.Itoa(many))
	} else {
		set("rapid.checks", strconv.Itoa(few))
		if !said["rapid.checks"] { // the same ones each time: exploring is what long is for
			set("rapid.seed", "20261125")
		}
	}
	pgtest.Main(m)
}
