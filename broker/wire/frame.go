package wire

import "encoding/binary"

// HeaderLen is the length of a message's type and length fields (PostgreSQL 18
// manual, 54.7).
const HeaderLen = 5

// MaxMessage is the largest message that PostgreSQL itself takes from a client,
// in bytes (MaxAllocSize, src/include/utils/memutils.h).
const MaxMessage = 0x3fffffff

// Next looks at the start of b and returns the type and the total length of the
// message there, type byte included. ok is false when b is too short to tell.
// A total of 0 means that the length field is impossible: below 4 or above
// MaxMessage. Nothing is allocated for a length that was only announced.
func Next(b []byte) (kind byte, total int, ok bool) {
	if len(b) < HeaderLen {
		return 0, 0, false
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || n > MaxMessage {
		return b[0], 0, true
	}
	return b[0], int(n) + 1, true
}

// Cut splits body after its first NUL: a protocol String and what follows. ok
// is false when there is no NUL.
func Cut(body []byte) (s, rest []byte, ok bool) {
	for i, c := range body {
		if c == 0 {
			return body[:i], body[i+1:], true
		}
	}
	return nil, body, false
}
