package fault_test

import (
	"fmt"
	"net/http"

	"github.com/globus-runner/globus-runner/internal/fault"
	"github.com/globus-runner/globus-runner/transfer"
)

// What an error means, and what to do about it, is asked of the error itself,
// however it is wrapped.
func Example() {
	err := fmt.Errorf("submit: %w", &transfer.Error{Status: http.StatusNotFound, Code: "EndpointNotFound"})
	account := fault.Identity{Name: "9d5b8a2c@clients.auth.globus.org"}

	fmt.Println(fault.Of(err).Kind)
	fmt.Println(fault.Next(err, account))
	// Output:
	// refused
	// check the collection id: runner endpoints finds collections by name
}
