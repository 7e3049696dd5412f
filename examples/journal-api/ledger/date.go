package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// A Date is a day of the books, without a time or a zone. The zero Date is no
// day; in JSON it is "", in SQL NULL.
type Date struct{ day time.Time }

// Day returns the date of a year, month and day.
func Day(year int, month time.Month, day int) Date {
	return Date{time.Date(year, month, day, 0, 0, 0, 0, time.UTC)}
}

// Today is the day in Jakarta, where a new company's books are kept.
func Today() Date {
	y, m, d := time.Now().In(time.FixedZone("WIB", 7*60*60)).Date()
	return Day(y, m, d)
}

// ParseDate reads 2026-03-31.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("date %q is not a day like 2026-03-31", shorten(s))
	}
	if t.Year() < 1900 || t.Year() > 2200 {
		return Date{}, fmt.Errorf("date %s is not between 1900 and 2200", s)
	}
	return Date{t}, nil
}

// IsZero reports whether d is no day.
func (d Date) IsZero() bool { return d.day.IsZero() }

// Year returns the calendar year.
func (d Date) Year() int { return d.day.Year() }

// Before reports whether d is earlier than e.
func (d Date) Before(e Date) bool { return d.day.Before(e.day) }

// Format writes the day in a layout of package time.
func (d Date) Format(layout string) string { return d.day.Format(layout) }

func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.day.Format(time.DateOnly)
}

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	*d, err = ParseDate(string(text))
	return err
}

// DateValue implements pgtype.DateValuer.
func (d Date) DateValue() (pgtype.Date, error) {
	return pgtype.Date{Time: d.day, Valid: !d.IsZero()}, nil
}

// ScanDate implements pgtype.DateScanner.
func (d *Date) ScanDate(v pgtype.Date) error {
	if v.InfinityModifier != pgtype.Finite {
		return errors.New("a date is a day")
	}
	*d = Date{v.Time}
	return nil
}

// Month returns the month of the year.
func (d Date) Month() time.Month { return d.day.Month() }
