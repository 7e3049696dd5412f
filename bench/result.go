package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// result is what a run found; its JSON is what -out writes.
type result struct {
	Taken    time.Time         `json:"taken"`
	Machine  string            `json:"machine"`
	Server   string            `json:"server"`
	Versions map[string]string `json:"versions"`
	Options  published         `json:"options"`
	Loads    []measured        `json:"loads"`
	Notes    []string          `json:"notes,omitempty"`
}

// published are the options that a reader needs to repeat the run.
type published struct {
	Rounds  int `json:"rounds"`
	Seconds int `json:"seconds"`
	Scale   int `json:"scale"`
	Pool    int `json:"pool"`
}

func (o options) published() published {
	return published{Rounds: o.rounds, Seconds: o.seconds, Scale: o.scale, Pool: o.pool}
}

// measured is one load with each target's figures.
type measured struct {
	load
	Targets map[string]*series `json:"targets"`
}

// series are one target's figures under one load, round by round.
type series struct {
	CPU     []float64 `json:"cpu_us_per_tx,omitempty"`
	TPS     []float64 `json:"tps,omitempty"`
	Missing string    `json:"missing,omitempty"` // why there are none, or not all
}

func (m *measured) of(name string) *series {
	if m.Targets[name] == nil {
		m.Targets[name] = &series{}
	}
	return m.Targets[name]
}

func (s *series) add(one sample) {
	s.TPS = append(s.TPS, one.tps)
	if one.cpu > 0 {
		s.CPU = append(s.CPU, float64(one.cpu)/float64(time.Microsecond))
	}
}

func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *result) write(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// overlap reports whether the ranges of a and b have a point in common: then
// the run cannot tell them apart.
func overlap(a, b []float64) bool {
	return slices.Min(a) <= slices.Max(b) && slices.Min(b) <= slices.Max(a)
}

var modelName = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)

// machine says what the figures were taken on.
func machine() string {
	model := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := modelName.FindSubmatch(text); m != nil {
			model = string(m[1])
		}
	}
	kernel := ""
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel, _, _ = strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	}
	return fmt.Sprintf("%d × %s, Linux %s", runtime.NumCPU(), model, kernel)
}
