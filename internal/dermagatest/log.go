package dermagatest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Log is the lines that a process has written. Safe for concurrent use.
type Log struct {
	mu    sync.Mutex
	lines []string
	half  []byte        // of a line
	more  chan struct{} // closed at the next line; nil: nobody waits
	ended bool
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.half = append(l.half, b...)
	for {
		line, rest, whole := bytes.Cut(l.half, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.lines = append(l.lines, string(line))
		l.half = bytes.Clone(rest)
		l.wake()
	}
}

func (l *Log) wake() {
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

func (l *Log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.wake()
}

// from returns the lines after the first n, and what is closed when there are
// more: nil if there will be none.
func (l *Log) from(n int) ([]string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := slices.Clone(l.lines[n:])
	if l.ended {
		return lines, nil
	}
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return lines, l.more
}

// String is everything that was said.
func (l *Log) String() string {
	lines, _ := l.from(0)
	return strings.Join(lines, "\n")
}

// Tail is the last n lines.
func (l *Log) Tail(n int) string {
	lines, _ := l.from(0)
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// An Entry is one line of a log in JSON.
type Entry map[string]any

// Text is the value of key, "" where it is none or no text.
func (e Entry) Text(key string) string {
	text, _ := e[key].(string)
	return text
}

// Await returns the first line, of those there are and those to come, that is
// JSON with this message and of which fits, unless it is nil, is true.
func (l *Log) Await(ctx context.Context, message string, fits func(Entry) bool) (Entry, error) {
	for n := 0; ; {
		lines, more := l.from(n)
		n += len(lines)
		for _, line := range lines {
			var e Entry
			if json.Unmarshal([]byte(line), &e) == nil && e.Text("msg") == message && (fits == nil || fits(e)) {
				return e, nil
			}
		}
		if more == nil {
			return nil, fmt.Errorf("the process ended without saying %q", message)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the log to say %q: %w", message, context.Cause(ctx))
		}
	}
}
