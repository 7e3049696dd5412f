package wire

// Class says what a text may do to the session that runs it. It is a set; 0 is a
// text that changes nothing which outlives its transaction.
type Class uint32

// State that lives in one session and can be asked for.
const (
	Prepares Class = 1 << iota // SQL PREPARE
	Listens                    // LISTEN
	Holds                      // a cursor WITH HOLD
	Temps                      // temporary objects
	Roles                      // SET ROLE, SET SESSION AUTHORIZATION
	Locks                      // session-level advisory locks
	// Hides: code that the text does not show. Anything of the above, and settings;
	// custom ones, with a dot in their names, are in no view, so that who does not
	// know the name cannot ask.
	Hides
	// Blind: a setting of a name that the text does not show, but that it does.
	Blind
	Seeds // setseed

	// State that PostgreSQL neither shows nor takes back at DISCARD ALL.
	Loads // LOAD
	Opens // dblink connections, replication slots and origins

	// Sets: settings that the server does not report on its own; SetNames tells
	// which. The server can be asked for their values.
	Sets
	// Resets: RESET, SET … TO DEFAULT or DISCARD may have taken settings back.
	Resets
	// Frees: UNLISTEN, CLOSE, DEALLOCATE, DISCARD, RESET, DROP or an advisory unlock
	// may have ended what a session had.
	Frees
	// Unlocks: of them, an advisory unlock.
	Unlocks
	// Deallocates: of them, DEALLOCATE or DISCARD ALL.
	Deallocates
	// Executes: EXECUTE of a statement that PREPARE has made.
	Executes
	// Sequences: the text reads lastval or currval, which belong to one session.
	Sequences
	// Defines: CREATE, ALTER or DROP may have made prepared statements out of date,
	// and routines. Temporary objects concern nobody else.
	Defines
	// Begins: a transaction block is left open.
	Begins
	// Quotes: SET of standard_conforming_strings. How the next text is to be read is
	// known when the server has answered.
	Quotes
)

const (
	// Sticks is what keeps a server for its client until it is known what is left.
	Sticks = Prepares | Listens | Holds | Temps | Roles | Locks | Hides | Blind | Seeds
	// Taints is what ends a server with its client.
	Taints = Loads | Opens
	// Unknown is a text that cannot be read.
	Unknown = Hides | Deallocates
)

// kindNames are what people are told of state that sticks or taints.
var kindNames = [...]string{
	"PREPARE", "LISTEN", "a cursor WITH HOLD", "a temporary object", "SET ROLE", "a session-level advisory lock",
	"code that the text hides", "a setting whose name the text hides", "setseed", "LOAD", "dblink or a replication slot",
}

// Kind names the first kind of state in c that sticks or taints, for people.
func (c Class) Kind() string {
	for i, name := range kindNames {
		if c&(1<<i) != 0 {
			return name
		}
	}
	return ""
}

// FunctionClass is the class of one of PostgreSQL's own functions, which a
// FunctionCall names by its oid.
func FunctionClass(oid uint32) Class {
	switch oid {
	case 2078: // set_config
		return Hides | Blind
	case 1599: // setseed
		return Seeds
	case 2559, 1575: // lastval, currval
		return Sequences
	case 2880, 2881, 2882, 2883, 2886, 2887, 2888, 2889: // pg_advisory_lock and its kin
		return Locks
	case 2884, 2885, 2890, 2891, 2892: // pg_advisory_unlock and its kin
		return Unlocks | Frees
	}
	return 0
}
