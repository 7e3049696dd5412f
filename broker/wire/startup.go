package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The codes that stand where a StartupMessage has its protocol version
// (PostgreSQL 18 manual, 54.7, "Message Formats").
const (
	CancelRequestCode = 80877102
	SSLRequestCode    = 80877103
	GSSENCRequestCode = 80877104
)

// MaxStartupLength bounds a first packet, its length word not counted:
// PostgreSQL's MAX_STARTUP_PACKET_LENGTH.
const MaxStartupLength = 10000

// MaxCancelSecret is the longest secret key that protocol 3.2 allows.
const MaxCancelSecret = 256

// Version is a protocol version as it stands on the wire: major in the upper
// sixteen bits, minor in the lower.
type Version uint32

const (
	Version30 Version = 3 << 16
	Version32 Version = 3<<16 | 2 // newest that is spoken here: PostgreSQL 18's
)

func (v Version) Major() int     { return int(v >> 16) }
func (v Version) Minor() int     { return int(v & 0xffff) }
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major(), v.Minor()) }

// A Setting is a parameter that a client gives for its session at start-up.
type Setting struct{ Name, Value string }

// Startup is a parsed StartupMessage of major version 3.
type Startup struct {
	Version  Version
	User     string // never empty
	Database string // the user's name when the client gave none, as in PostgreSQL
	// Replication is the value of the replication parameter, "" when there is none.
	Replication string
	// Options is the text of the options parameter, not yet parsed.
	Options string
	// Settings are all other parameters in the order given.
	Settings []Setting
	// Extensions are the names of the _pq_. parameters; none is known here, and
	// NegotiateProtocolVersion tells the client so.
	Extensions []string
}

// What can be wrong with a first packet. Everything else about it is a
// matter of policy, which is not decided here.
var (
	// ErrPacketLength: shorter than a version or longer than MaxStartupLength.
	// PostgreSQL closes such a connection without a word.
	ErrPacketLength = errors.New("invalid length of startup packet")
	// ErrLayout: a name without a value, or no terminator as the last byte.
	ErrLayout = errors.New("invalid startup packet layout: expected terminator as last byte")
	// ErrNoUser: the user parameter is missing or empty.
	ErrNoUser = errors.New("no PostgreSQL user name specified in startup packet")
)

// StartupLength checks the length word of a first packet and says how many
// bytes follow it.
func StartupLength(header [4]byte) (int, error) {
	n := binary.BigEndian.Uint32(header[:])
	if n < 8 || n > MaxStartupLength+4 {
		return 0, ErrPacketLength
	}
	return int(n) - 4, nil
}

// Code is the first word of a packet body: one of the request codes, or the
// protocol version of a StartupMessage. The body has at least four bytes.
func Code(body []byte) uint32 { return binary.BigEndian.Uint32(body) }

// ParseStartup reads the body of a StartupMessage, from its version on, as
// PostgreSQL's ProcessStartupPacket does. Of a doubled parameter the last one
// counts. The result shares no memory with body.
func ParseStartup(body []byte) (Startup, error) {
	if len(body) < 4 {
		return Startup{}, ErrPacketLength
	}
	s := Startup{Version: Version(Code(body))}
	rest := body[4:]
	for {
		name, after, ok := Cut(rest)
		if !ok {
			return Startup{}, ErrLayout
		}
		if len(name) == 0 {
			rest = after
			break
		}
		value, after, ok := Cut(after)
		if !ok {
			return Startup{}, ErrLayout
		}
		rest = after
		s.take(string(name), string(value))
	}
	if len(rest) != 0 {
		return Startup{}, ErrLayout
	}
	if s.User == "" {
		return Startup{}, ErrNoUser
	}
	if s.Database == "" {
		s.Database = s.User
	}
	return s, nil
}

// take puts a parameter where it belongs.
func (s *Startup) take(name, value string) {
	switch {
	case name == "user":
		s.User = value
	case name == "database":
		s.Database = value
	case name == "options":
		s.Options = value
	case name == "replication":
		s.Replication = value
	case strings.HasPrefix(name, "_pq_."):
		s.Extensions = append(s.Extensions, name)
	default:
		s.Settings = append(s.Settings, Setting{name, value})
	}
}

// ParseCancel reads the body of a CancelRequest, from its code on. Protocol
// 3.0 has secrets of four bytes, 3.2 of up to MaxCancelSecret. The secret
// shares memory with body.
func ParseCancel(body []byte) (pid uint32, secret []byte, ok bool) {
	secretLength := len(body) - 8
	if secretLength < 4 || secretLength > MaxCancelSecret {
		return 0, nil, false
	}
	return binary.BigEndian.Uint32(body[4:]), body[8:], true
}

// An OptionError is about one word of a client's options. Its text is the
// one that PostgreSQL has for the case.
type OptionError struct{ text string }

func (e *OptionError) Error() string { return e.text }

// ParseOptions reads the options parameter of a StartupMessage: words split at
// white space, a backslash taking the next character as it is; of the
// server's command-line switches only -c name=value, -cname=value and
// --name=value. In a name after -c or --, a hyphen stands for an underscore.
func ParseOptions(text string) ([]Setting, error) {
	var settings []Setting
	words := splitOptions(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		var assignment, shown string
		switch {
		case word == "-c":
			i++
			if i == len(words) {
				return nil, &OptionError{"option requires an argument -- 'c'"}
			}
			assignment, shown = words[i], "-c "+words[i]
		case strings.HasPrefix(word, "-c"):
			assignment, shown = word[2:], "-c "+word[2:]
		case strings.HasPrefix(word, "--") && len(word) > 2:
			assignment, shown = word[2:], word
		default:
			return nil, &OptionError{"invalid command-line argument for server process: " + word}
		}
		name, value, assigned := strings.Cut(assignment, "=")
		if !assigned {
			return nil, &OptionError{shown + " requires a value"}
		}
		name = strings.ReplaceAll(name, "-", "_")
		if !ValidSettingName(name) {
			return nil, &OptionError{fmt.Sprintf("invalid configuration parameter name %q", name)}
		}
		settings = append(settings, Setting{name, value})
	}
	return settings, nil
}

// splitOptions is PostgreSQL's pg_split_opts.
func splitOptions(text string) []string {
	var words []string
	var word strings.Builder
	started, escaped := false, false
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case escaped:
			word.WriteByte(b)
			escaped = false
		case b == '\\':
			escaped, started = true, true
		case isSpace(b):
			if started {
				words = append(words, word.String())
				word.Reset()
			}
			started = false
		default:
			word.WriteByte(b)
			started = true
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words
}

// isSpace is C's isspace in the C locale.
func isSpace(b byte) bool { return b == ' ' || (b >= '\t' && b <= '\r') }

// ValidSettingName reports whether name can name a configuration parameter: one
// or more identifiers joined by dots, as PostgreSQL's valid_custom_variable_name
// has it.
func ValidSettingName(name string) bool {
	atStart := true
	for i := 0; i < len(name); i++ {
		b := name[i]
		switch {
		case b == '.':
			if atStart {
				return false
			}
			atStart = true
		case b|0x20 >= 'a' && b|0x20 <= 'z', b == '_', b >= 0x80:
			atStart = false
		case b >= '0' && b <= '9', b == '$':
			if atStart {
				return false
			}
		default:
			return false
		}
	}
	return !atStart
}
