package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Overrides are limits of a tenant that differ from its plan's, and settings
// that differ from the broker's. Zero: the plan's, the broker's.
type Overrides struct {
	PoolSize    int    `json:"pool_size,omitempty"`
	MaxClients  int    `json:"max_clients,omitempty"`
	MinPoolSize int    `json:"min_pool_size,omitempty"`
	PoolMode    string `json:"pool_mode,omitempty"` // auto, session, transaction or statement

	// The settings; their meaning is told by the broker's of the same name.
	QueryTimeout           Timeout `json:"query_timeout,omitzero"`
	QueryWaitTimeout       Timeout `json:"query_wait_timeout,omitzero"` // never Off
	QueryWaitNotify        Timeout `json:"query_wait_notify,omitzero"`
	IdleTransactionTimeout Timeout `json:"idle_transaction_timeout,omitzero"`
	TransactionTimeout     Timeout `json:"transaction_timeout,omitzero"`
	ClientIdleTimeout      Timeout `json:"client_idle_timeout,omitzero"`
	PinIdleTimeout         Timeout `json:"pin_idle_timeout,omitzero"`
	MaxPinned              int     `json:"max_pinned,omitempty"`
	TransactionState       string  `json:"transaction_state,omitempty"` // clean or refuse
}

// A Timeout is a tenant's own: above zero; Off for none, whatever the broker has;
// zero for the broker's.
type Timeout time.Duration

// Off is no time-out.
const Off Timeout = -1

// Or is t, or the broker's where t is zero; 0 stands for none in both.
func (t Timeout) Or(broker time.Duration) time.Duration {
	if t == 0 {
		return max(broker, 0)
	}
	return max(time.Duration(t), 0)
}

// String is how t is typed: "" for the broker's.
func (t Timeout) String() string {
	switch {
	case t == 0:
		return ""
	case t < 0:
		return "off"
	}
	return time.Duration(t).String()
}

// MarshalJSON counts milliseconds, as PostgreSQL's own time-outs do; 0 is Off.
func (t Timeout) MarshalJSON() ([]byte, error) {
	return json.Marshal(max(time.Duration(t), 0).Milliseconds())
}

// UnmarshalJSON is MarshalJSON's inverse.
func (t *Timeout) UnmarshalJSON(b []byte) error {
	var ms int64
	if err := json.Unmarshal(b, &ms); err != nil {
		return err
	}
	*t = Timeout(time.Duration(ms) * time.Millisecond)
	if ms <= 0 {
		*t = Off
	}
	return nil
}

// ParseTimeout reads what is typed: Go's notation, a bare number as milliseconds,
// off or 0 for none, nothing for the broker's.
func ParseTimeout(text string) (Timeout, error) {
	switch text {
	case "":
		return 0, nil
	case "off", "0":
		return Off, nil
	}
	d, err := time.ParseDuration(text)
	if n, bare := strconv.ParseInt(text, 10, 64); bare == nil && n <= int64(math.MaxInt64/time.Millisecond) {
		d, err = time.Duration(n)*time.Millisecond, nil
	}
	if err != nil || d < time.Millisecond {
		return 0, errors.New("want a duration of at least a millisecond, such as 90s or 1500ms (a bare number counts milliseconds), or off")
	}
	return Timeout(d.Truncate(time.Millisecond)), nil
}

// An ownSetting is one setting that a tenant may have of its own, as text.
type ownSetting struct {
	name string
	set  func(o *Overrides, text string) error
	get  func(o Overrides) string
}

// ownSettings stand in the order in which they are shown.
var ownSettings = []ownSetting{
	timeoutSetting("query_timeout", true, func(o *Overrides) *Timeout { return &o.QueryTimeout }),
	timeoutSetting("query_wait_timeout", false, func(o *Overrides) *Timeout { return &o.QueryWaitTimeout }),
	timeoutSetting("query_wait_notify", true, func(o *Overrides) *Timeout { return &o.QueryWaitNotify }),
	timeoutSetting("idle_transaction_timeout", true, func(o *Overrides) *Timeout { return &o.IdleTransactionTimeout }),
	timeoutSetting("transaction_timeout", true, func(o *Overrides) *Timeout { return &o.TransactionTimeout }),
	timeoutSetting("client_idle_timeout", true, func(o *Overrides) *Timeout { return &o.ClientIdleTimeout }),
	timeoutSetting("pin_idle_timeout", true, func(o *Overrides) *Timeout { return &o.PinIdleTimeout }),
	{
		"max_pinned",
		func(o *Overrides, text string) (err error) {
			o.MaxPinned, err = parsePinned(text)
			return err
		},
		func(o Overrides) string {
			if o.MaxPinned == 0 {
				return ""
			}
			return strconv.Itoa(o.MaxPinned)
		},
	},
	{
		"transaction_state",
		func(o *Overrides, text string) error {
			o.TransactionState = text
			return checkTransactionState(text)
		},
		func(o Overrides) string { return o.TransactionState },
	},
}

func timeoutSetting(name string, mayBeOff bool, at func(*Overrides) *Timeout) ownSetting {
	return ownSetting{
		name,
		func(o *Overrides, text string) error {
			t, err := ParseTimeout(text)
			if err == nil && t == Off && !mayBeOff {
				err = errors.New("want a duration above zero: nobody may wait for ever")
			}
			*at(o) = t
			return err
		},
		func(o Overrides) string { return at(&o).String() },
	}
}

// maxPinned is more than any pool has.
const maxPinned = 100_000

func parsePinned(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPinned {
		return 0, fmt.Errorf("want a whole number from 1 to %d", maxPinned)
	}
	return n, nil
}

func checkTransactionState(text string) error {
	if text != "" && text != "clean" && text != "refuse" {
		return errors.New("want clean or refuse")
	}
	return nil
}

// OwnSettings names the settings that a tenant may have of its own.
func OwnSettings() []string {
	names := make([]string, len(ownSettings))
	for i, s := range ownSettings {
		names[i] = s.name
	}
	return names
}

// Settings are the tenant's own settings as they are typed, by name; what is the
// broker's is not among them.
func (o Overrides) Settings() map[string]string {
	own := map[string]string{}
	for _, s := range ownSettings {
		if text := s.get(o); text != "" {
			own[s.name] = text
		}
	}
	return own
}

// set gives settings by name the values that are typed, all faults together.
func (o *Overrides) set(settings map[string]string) error {
	var faults []string
	for name, text := range settings {
		i := slices.IndexFunc(ownSettings, func(s ownSetting) bool { return s.name == name })
		if i < 0 {
			faults = append(faults, fmt.Sprintf("setting %q is none of a tenant's own: want one of %s", name, strings.Join(OwnSettings(), ", ")))
		} else if err := ownSettings[i].set(o, text); err != nil {
			faults = append(faults, fmt.Sprintf("%s %q: %s", name, text, err))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return fmt.Errorf("%w: %s", ErrInvalid, strings.Join(faults, "; "))
}

// validate checks each limit and setting by itself.
func (o Overrides) validate() error {
	if o.PoolSize < 0 || o.MaxClients < 0 || o.MinPoolSize < 0 {
		return fmt.Errorf("%w: pool size %d, clients %d and least pool size %d must not be negative",
			ErrInvalid, o.PoolSize, o.MaxClients, o.MinPoolSize)
	}
	if err := new(Overrides).set(o.Settings()); err != nil {
		return err
	}
	return checkPoolMode(o.PoolMode)
}

// patch is o as JSON merges it: what is not set is null, and then dropped.
func (o Overrides) patch() (map[string]any, error) {
	patch := map[string]any{"pool_size": nil, "max_clients": nil, "min_pool_size": nil, "pool_mode": nil}
	for _, s := range ownSettings {
		patch[s.name] = nil
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return patch, json.Unmarshal(text, &patch)
}
