package relay

// pins is the set of reasons for which a server stays with its client.
type pins uint16

const (
	pinState pins = 1 << iota // a text may have left state in the session
	pinLong                   // a statement too long to be remembered is prepared on the server
	pinTaint                  // state that DISCARD ALL does not undo
)

var pinNames = [...]string{"state", "long statement", "taint"}

// names are the reasons in words.
func (p pins) names() (all []string) {
	for i, name := range pinNames {
		if p&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return all
}
