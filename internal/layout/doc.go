// Package layout holds nothing but tests of what no compiler checks: which
// package may import which (docs/architecture.md says why), how long a file may
// be, and that each dependency has its reason written down.
package layout
