package evidence_test

import (
	"runtime"
	"testing"
	"weak"

	"github.com/globus-runner/globus-runner/internal/evidence"
	"github.com/globus-runner/globus-runner/internal/proof"
)

// A job that copies a folder each night has a thousand receipts after three years, and
// most of its folders are gone.
func TestAReceiptIsNotReadToItsEndIfNothingIsLeftToBeJudged(t *testing.T) {
	const forItems = 2 // looks into it, to find its trees and to list them
	for name, left := range map[string]bool{"the folder is gone": false, "a file is left": true} {
		t.Run(name, func(t *testing.T) {
			d, reads := newDisks(), 0
			r := receiptOf(t, nil, "item /out/ /in/", "found /out/a", "copied /out/a /in/a")
			d.put("vault:/in/a", 5, 0)
			if left {
				d.put("lab:/out/a", 5, -60)
			}
			files(t, d, evidence.Options{}, func() (*proof.Reader, error) {
				reads++
				return r()
			})
			if whole := reads > forItems; whole != left {
				t.Errorf("the receipt was opened %d times", reads)
			}
		})
	}
}

func TestAReceiptThatWasBegunKeepsNoReader(t *testing.T) {
	r := receiptOf(t, nil, "item /out/ /in/", "found /out/a")
	var reader weak.Pointer[proof.Reader]
	found, err := evidence.Gather([]proof.Open{func() (*proof.Reader, error) {
		in, err := r()
		reader = weak.Make(in)
		return in, err
	}}, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if reader.Value() != nil {
		t.Error("the reader of the receipt is still there, with its buffers")
	}
	runtime.KeepAlive(found)
}
