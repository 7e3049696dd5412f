package broker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nusajournal/dermaga/broker/relay"
)

// reported are the parameters that PostgreSQL 18 reports to a client and that a
// client can set, by their names in lower case: as PostgreSQL spells the name,
// and what it makes of a value. The second value is what the parameter is
// without the client; ok is false for what PostgreSQL refuses.
var reported = map[string]struct {
	name  string
	canon func(value string, s server) (canonical string, ok bool)
}{
	"application_name":              {"application_name", canonName},
	"client_encoding":               {"client_encoding", canonEncoding},
	"datestyle":                     {"DateStyle", canonDateStyle},
	"default_transaction_read_only": {"default_transaction_read_only", canonBool},
	"intervalstyle":                 {"IntervalStyle", canonIntervalStyle},
	"scram_iterations":              {"scram_iterations", asGiven},
	"search_path":                   {"search_path", asGiven},
	"standard_conforming_strings":   {"standard_conforming_strings", canonBool},
	"timezone":                      {"TimeZone", canonTimeZone},
}

// server is what a value's meaning may depend on.
type server struct {
	version int    // major
	before  string // the parameter's value without the client
}

// told is what a client with these settings is told when it has logged in: what
// its server greets with, its own settings over it, in PostgreSQL's spelling.
// Drivers depend on that: pgjdbc asks for DateStyle ISO and gives up unless it
// is told one that starts with "ISO,".
func told(greeting, settings []relay.Param) ([]relay.Param, error) {
	params := slices.Clone(greeting)
	version := 0
	for _, p := range params {
		if p.Name == "server_version" {
			_, _ = fmt.Sscanf(p.Value, "%d", &version) // "15.18 (Debian …)", "19devel"
		}
	}
	for _, s := range settings {
		r, ok := reported[strings.ToLower(s.Name)]
		if !ok {
			continue
		}
		for i, p := range params {
			if p.Name != r.name {
				continue
			}
			canonical, ok := r.canon(s.Value, server{version, p.Value})
			if !ok {
				return nil, errSettingValue(r.name, s.Value)
			}
			params[i].Value = canonical
		}
	}
	return params, nil
}

func asGiven(value string, _ server) (string, bool) { return value, true }

// canonName is PostgreSQL's pg_clean_ascii: what is not printable ASCII is
// written as \x and two digits, before version 16 as a question mark.
func canonName(value string, s server) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c >= ' ' && c <= '~':
			b.WriteByte(c)
		case s.version < 16:
			b.WriteByte('?')
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String(), true
}

func canonBool(value string, _ server) (string, bool) {
	on, ok := parseBool(value)
	if on {
		return "on", ok
	}
	return "off", ok
}

// parseBool is PostgreSQL's parse_bool: any unambiguous beginning of a word.
func parseBool(value string) (on, ok bool) {
	v := strings.ToLower(value)
	if v == "" || v == "o" {
		return false, false
	}
	for word, on := range map[string]bool{"true": true, "yes": true, "on": true, "1": true, "false": false, "no": false, "off": false, "0": false} {
		if strings.HasPrefix(word, v) {
			return on, true
		}
	}
	return false, false
}

func canonIntervalStyle(value string, _ server) (string, bool) {
	v := strings.ToLower(value)
	switch v {
	case "postgres", "postgres_verbose", "sql_standard", "iso_8601":
		return v, true
	}
	return "", false
}

// canonTimeZone knows the one zone that clients write in their own case;
// PostgreSQL's list of zones is not here, so every other one stays as given and
// the server has the last word.
func canonTimeZone(value string, _ server) (string, bool) {
	if strings.EqualFold(value, "UTC") {
		return "UTC", true
	}
	return value, value != ""
}

// canonDateStyle is PostgreSQL's check_datestyle: a style and an order of
// fields, either of which may be left as it is.
func canonDateStyle(value string, s server) (string, bool) {
	style, order, _ := strings.Cut(s.before, ", ")
	ordered := false
	if strings.TrimSpace(value) == "" {
		return s.before, true
	}
	for word := range strings.SplitSeq(value, ",") {
		w := strings.ToLower(strings.TrimSpace(word))
		switch {
		case w == "iso", w == "sql":
			style = strings.ToUpper(w)
		case strings.HasPrefix(w, "postgres"):
			style = "Postgres"
		case w == "german":
			style = "German"
			if !ordered {
				order = "DMY"
			}
		case w == "ymd":
			order, ordered = "YMD", true
		case w == "dmy", strings.HasPrefix(w, "euro"):
			order, ordered = "DMY", true
		case w == "mdy", w == "us", strings.HasPrefix(w, "noneuro"):
			order, ordered = "MDY", true
		case w == "default":
		default:
			return "", false
		}
	}
	return style + ", " + order, true
}

// canonEncoding is PostgreSQL's pg_char_to_encoding: letters and digits count
// only, in any case, and some encodings have more than one name.
func canonEncoding(value string, _ server) (string, bool) {
	key := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, value)
	name, ok := encodings[key]
	return name, ok
}

// encodings are PostgreSQL's (src/common/encnames.c) by their reduced names.
var encodings = func() map[string]string {
	names := map[string]string{
		"abc": "WIN1258", "alt": "WIN866", "euccn": "EUC_CN", "eucjis2004": "EUC_JIS_2004", "eucjp": "EUC_JP",
		"euckr": "EUC_KR", "euctw": "EUC_TW", "koi8": "KOI8R", "muleinternal": "MULE_INTERNAL", "mskanji": "SJIS",
		"shiftjis": "SJIS", "shiftjis2004": "SHIFT_JIS_2004", "sqlascii": "SQL_ASCII", "tcvn": "WIN1258", "tcvn5712": "WIN1258",
		"unicode": "UTF8", "vscii": "WIN1258", "win": "WIN1251", "win932": "SJIS", "win936": "GBK", "win949": "UHC",
		"win950": "BIG5", "windows932": "SJIS", "windows936": "GBK", "windows949": "UHC", "windows950": "BIG5",
		"windows866": "WIN866", "windows874": "WIN874", "iso88591": "LATIN1", "iso88592": "LATIN2", "iso88593": "LATIN3",
		"iso88594": "LATIN4", "iso88599": "LATIN5", "iso885910": "LATIN6", "iso885913": "LATIN7", "iso885914": "LATIN8",
		"iso885915": "LATIN9", "iso885916": "LATIN10", "iso88595": "ISO_8859_5", "iso88596": "ISO_8859_6",
		"iso88597": "ISO_8859_7", "iso88598": "ISO_8859_8",
	}
	for _, name := range []string{
		"BIG5", "GB18030", "GBK", "JOHAB", "KOI8R", "KOI8U", "SJIS", "UHC", "UTF8", "WIN866", "WIN874",
		"LATIN1", "LATIN2", "LATIN3", "LATIN4", "LATIN5", "LATIN6", "LATIN7", "LATIN8", "LATIN9", "LATIN10",
		"WIN1250", "WIN1251", "WIN1252", "WIN1253", "WIN1254", "WIN1255", "WIN1256", "WIN1257", "WIN1258",
	} {
		key := strings.ToLower(name)
		names[key] = name
		if page, ok := strings.CutPrefix(key, "win125"); ok {
			names["windows125"+page] = name
		}
	}
	return names
}()
