// Package layout holds nothing but tests: of which package may import which
// (docs/architecture.md says why), and of how long a file may be.
package layout
