package doctor_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/doctor"
	"github.com/globus-runner/globus-runner/internal/fault"
)

func says(f ...doctor.Finding) func(context.Context) []doctor.Finding {
	return func(context.Context) []doctor.Finding { return f }
}

// hangs is a Look that ends a while after it was asked to.
func hangs(while time.Duration, f ...doctor.Finding) func(context.Context) []doctor.Finding {
	return func(ctx context.Context) []doctor.Finding {
		<-ctx.Done()
		time.Sleep(while)
		return f
	}
}

func TestWhatAStoppedCheckKeepsFromBeingMadeIsNamedOnce(t *testing.T) {
	made := false
	a := &doctor.Check{Group: "one", Name: "first", Look: says(doctor.Good("fine"), doctor.Bad(fault.Usage, "bad", "mend it").Stopping())}
	b := &doctor.Check{Group: "one", Name: "second_one", Needs: []*doctor.Check{a}, Look: func(context.Context) []doctor.Finding {
		made = true
		return nil
	}}
	c := &doctor.Check{Group: "two", Name: "third", Needs: []*doctor.Check{b}}
	d := &doctor.Check{Group: "two", Name: "fourth", Needs: []*doctor.Check{b}}
	e := &doctor.Check{Group: "three", Name: "fifth", Needs: []*doctor.Check{c}, Quiet: true}
	free := &doctor.Check{Group: "two", Name: "sixth", Subject: "x", Look: says(doctor.Doubt("hm", ""))}

	got := doctor.Run(t.Context(), []*doctor.Check{a, b, c, d, e, free}, time.Minute, nil)
	want := []doctor.Finding{
		{Group: "one", Check: "first", Level: doctor.OK, Seen: "fine"},
		{
			Group: "one", Check: "first", Level: doctor.Error, Seen: "bad", Advice: "mend it", Kind: fault.Usage, Stop: true,
			NotChecked: []string{"second one", "two"},
		},
		{Group: "two", Check: "sixth", Subject: "x", Level: doctor.Warning, Seen: "hm"},
	}
	if diff := cmp.Diff(want, got); diff != "" || made {
		t.Errorf("made: %t, findings (-want +got):\n%s", made, diff)
	}
	if level, problems, warnings := doctor.Worst(got); level != doctor.Error || problems != 1 || warnings != 1 {
		t.Errorf("got %s, %d problems, %d warnings", level, problems, warnings)
	}
}

func TestChecksAreMadeSideBySideEachForABoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int32
		checks := []*doctor.Check{
			{Name: "stubborn", Look: hangs(time.Hour)},
			{Name: "slow", Slow: 3, Look: hangs(0)},
			{Name: "cleans_up", Grace: 30 * time.Second, Look: hangs(20*time.Second, doctor.Good("clean"))},
			{Name: "quick", Look: says(doctor.Good("quick"))},
		}
		begin := time.Now()
		found := doctor.Run(t.Context(), checks, 10*time.Second, func() { done.Add(1) })
		var got []string
		for _, f := range found {
			got = append(got, f.Check+": "+f.Seen)
		}
		want := []string{"stubborn: gave no answer within 10s", "slow: gave no answer within 30s", "cleans_up: clean", "quick: quick"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		if took := time.Since(begin); took != 30*time.Second || done.Load() != 4 {
			t.Errorf("%d checks took %v, want 4 in 30s", done.Load(), took)
		}
		time.Sleep(2 * time.Hour) // the stubborn one ends too
	})
}

func TestAnInterruptEndsTheChecksButLetsThemCleanUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := &doctor.Check{Name: "first", Look: hangs(0, doctor.Bad(fault.Temporary, "interrupted", ""))}
		found := doctor.Run(ctx, []*doctor.Check{
			first,
			{Name: "later", Needs: []*doctor.Check{first}, Look: hangs(time.Hour)},
			{Name: "cleans_up", Grace: 30 * time.Second, Look: hangs(2*time.Second, doctor.Good("clean"))},
		}, time.Minute, nil)
		if len(found) != 1 || found[0].Seen != "clean" {
			t.Errorf("found %v, want that it is clean", found)
		}
		time.Sleep(2 * time.Hour) // for what goes on
	})
}
