package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestSpans(t *testing.T) {
	good := map[string]time.Duration{"30": 30 * time.Second, "1.5h": 90 * time.Minute, "10ms": 10 * time.Millisecond}
	for text, want := range good {
		var s span
		if err := s.Set(text); err != nil || time.Duration(s) != want {
			t.Errorf("Set(%q): got %v, %v, want %v", text, time.Duration(s), err, want)
		}
	}
	for _, text := range []string{"", "0", "-3", "-1s", "soon", "99999999999999999999"} {
		var s span
		if err := s.Set(text); err == nil {
			t.Errorf("Set(%q): got %v, want an error", text, time.Duration(s))
		}
	}
}

func TestByteSizes(t *testing.T) {
	good := map[string]byteSize{"1": 1, "10kB": 10_000, "10K": 10_000, "50MiB/s": 50 << 20, "2GiB": 2 << 30, "1T": 1_000_000_000_000}
	for text, want := range good {
		var b byteSize
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("Set(%q): got %d, %v, want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "1iB", "x", "1.5MB", "99999999999TiB", "1 MB"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("Set(%q): got %d, want an error", text, b)
		}
	}
}

func FuzzByteSize(f *testing.F) {
	f.Add("50MiB/s")
	f.Fuzz(func(t *testing.T, text string) {
		var b byteSize
		if err := b.Set(text); (err == nil) != (b > 0) {
			t.Errorf("Set(%q): got %d and %v", text, b, err)
		}
	})
}

func FuzzParseCollection(f *testing.F) {
	f.Add("lab=/tmp/x,type=mapped,home=/home/,quota=10MiB,offline,policy=7")
	f.Add("a=b,access=none")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCollection(text)
		if err == nil && (c.Name == "" || c.Dir == "" && !strings.HasPrefix(text, c.Name+"=,")) {
			t.Errorf("parseCollection(%q): got %+v", text, c)
		}
	})
}

func TestCollectionOptions(t *testing.T) {
	c, err := parseCollection("vault=/srv/v,type=mapped-ha,home=/home/x/,access=r,quota=1MiB")
	if err != nil {
		t.Fatal(err)
	}
	if c.EntityType != globussim.MappedCollection || !c.HighAssurance || c.Home != "/home/x/" ||
		len(c.Access) != 1 || c.Access[0].Permissions != "r" || c.Quota != 1<<20 || c.Dir != "/srv/v" {
		t.Errorf("got %+v", c)
	}
	for _, text := range []string{"", "lab", "=x", "a b=/x", "a=/x,type=moon", "a=/x,access=w", "a=/x,quota=much", "a=/x,odd=1"} {
		if _, err := parseCollection(text); err == nil {
			t.Errorf("parseCollection(%q): want an error", text)
		}
	}
}

func TestTheSimulatorWarnsOfOtherMachines(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": false, "127.0.0.2:1": false, "[::1]:1": false, "0.0.0.0:1": true, "[::]:1": true, "192.0.2.1:1": true,
	} {
		var said strings.Builder
		a := &app{log: slog.New(slog.NewTextHandler(&said, nil))}
		a.warnOfStrangers(address)
		if got := strings.Contains(said.String(), "level=WARN"); got != want {
			t.Errorf("%s: warns: %t, want %t", address, got, want)
		}
	}
}
