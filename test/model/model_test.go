package model_test

import (
	"testing"

	"pgregory.net/rapid"
)

// What clients hear through the broker is what they would hear from PostgreSQL.
func TestAnswersAreThoseOfADirectConnection(t *testing.T) {
	th := newTheatre(t, plant{themes: all})
	defer func() { // should it fail only now and then
		if t.Failed() {
			t.Logf("before it was made shorter:\n%s", th.first)
		}
	}()
	rapid.Check(t, func(t *rapid.T) { th.check(t) })
}

func (th *theatre) check(t *rapid.T) {
	s := sequences(th.plant.themes).Draw(t, "sequence")
	if report, err := th.perform(s); err != nil {
		t.Logf("%+v\n%s", s.setting, report)
		t.Fatal(err)
	}
}
