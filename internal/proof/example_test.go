package proof_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/globus-runner/globus-runner/internal/proof"
)

// A receipt is written row by row and sealed. Whoever has the text can check it.
func Example() {
	var text bytes.Buffer
	w, err := proof.NewWriter(&text, proof.Receipt{Run: 12, Job: "nightly", Source: "lab", Destination: "vault"})
	if err == nil {
		err = w.Write(proof.Row{Copied: &proof.Copied{Source: "/data/frame.h5", Destination: "/archive/frame.h5", Size: 42}})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	counts, content := w.Sum()
	seal := proof.NewSeal(counts, content, 1, "", nil)
	end, err := seal.Line()
	if err != nil {
		fmt.Println(err)
		return
	}
	text.Write(end)
	_, sealed, err := proof.Verify(bytes.NewReader(text.Bytes()))
	fmt.Printf("%d copied: %t\n", sealed.Copied, err == nil)

	changed := bytes.Replace(text.Bytes(), []byte("42"), []byte("43"), 1)
	_, _, err = proof.Verify(bytes.NewReader(changed))
	fmt.Println(errors.Is(err, proof.ErrChanged))
	// Output:
	// 1 copied: true
	// true
}
