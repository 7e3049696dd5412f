package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// measure runs every load: in each round the targets take turns, and each round
// begins with another one, so that what the machine does besides hits them all.
func measure(ctx context.Context, w *workplace, o options, targets []target, r *result) error {
	for _, l := range o.loads() {
		got := measured{load: l, Targets: map[string]*series{}}
		for round := range o.rounds {
			for turn := range targets {
				t := targets[(round+turn)%len(targets)]
				s := got.of(t.name)
				if t.maxLoad > 0 && l.Clients > t.maxLoad {
					s.Missing = t.maxCause
				}
				if s.Missing != "" {
					continue
				}
				one, err := w.run(ctx, t, l, o.seconds)
				if ctx.Err() != nil {
					return fmt.Errorf("stopped in round %d of %s: %w", round+1, l, context.Cause(ctx))
				}
				if err != nil {
					s.Missing = err.Error()
					continue
				}
				s.add(one)
				fmt.Fprintf(os.Stderr, "%-40s round %d  %-10s %8.0f tps  %7.2f µs/tx\n",
					l, round+1, t.name, one.tps, float64(one.cpu)/float64(time.Microsecond))
			}
		}
		r.Loads = append(r.Loads, got)
	}
	return nil
}
