package main

import (
	"encoding/json"
	"io"
)

// printJSON writes v for a program, and still for a person who looks.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false) // URLs have & in them
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
