package transfer_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

func TestTimesAreReadInAllForms(t *testing.T) {
	tests := map[string]struct {
		doc  string
		want string // as it is written
	}{
		"RFC 3339":    {`"2026-03-01T04:05:06+00:00"`, `"2026-03-01T04:05:06+00:00"`},
		"Z":           {`"2026-03-01T04:05:06Z"`, `"2026-03-01T04:05:06+00:00"`},
		"offset":      {`"2026-03-01T04:05:06+02:00"`, `"2026-03-01T02:05:06+00:00"`},
		"space":       {`"2026-03-01 04:05:06+00:00"`, `"2026-03-01T04:05:06+00:00"`},
		"fraction":    {`"2026-03-01T04:05:06.987654Z"`, `"2026-03-01T04:05:06+00:00"`},
		"no zone":     {`"2026-03-01T04:05:06"`, `"2026-03-01T04:05:06+00:00"`},
		"as in a CLI": {`"2026-03-01 04:05:06"`, `"2026-03-01T04:05:06+00:00"`},
		"date":        {`"2026-03-01"`, `"2026-03-01T00:00:00+00:00"`},
		"null":        {`null`, `null`},
		"empty":       {`""`, `null`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			at := transfer.Time{Time: time.Unix(1, 0)} // must be overwritten
			if err := json.Unmarshal([]byte(tt.doc), &at); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(at); string(got) != tt.want || err != nil {
				t.Errorf("got %s and %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestWhatIsNoTimeIsRefused(t *testing.T) {
	for _, doc := range []string{`"soon"`, `"2026-02-30T00:00:00Z"`, `"2026-03-01T04:05"`, `1`, `{}`} {
		var at transfer.Time
		if err := json.Unmarshal([]byte(doc), &at); err == nil {
			t.Errorf("%s: got %v, want an error", doc, at)
		}
	}
	if got, err := json.Marshal(transfer.Time{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Errorf("got %s for the year 10000, want an error", got)
	}
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-03-01T04:05:06+00:00", "2026-03-01 04:05:06.5-23:59", "2026-03-01", "0000-01-01T00:00:00+23:59", "9999-12-31 23:59:59-01:00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var first, second transfer.Time
		if first.UnmarshalText([]byte(s)) != nil {
			return
		}
		text, err := first.MarshalText()
		if err != nil {
			if y := first.UTC().Year(); y >= 0 && y <= 9999 {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if err := second.UnmarshalText(text); err != nil || !second.Equal(first.Truncate(time.Second)) && !first.IsZero() {
			t.Errorf("%q became %s, which became %v (%v)", s, text, second, err)
		}
	})
}
