package auth_test

import (
	"fmt"

	"github.com/globus-runner/globus-runner/auth"
)

// The scope for Transfer, with access to the data of a mapped collection.
func ExampleScope() {
	scope := auth.Scope{
		Name:         auth.TransferAll,
		Dependencies: []auth.Scope{auth.DataAccess("0b6c8f2e-0000-4000-8000-000000000001")},
	}
	fmt.Println(scope)
	// Output: urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/0b6c8f2e-0000-4000-8000-000000000001/data_access]
}

func ExampleSecret() {
	secret := auth.NewSecret("made up")
	fmt.Println(secret)
	fmt.Println(len(secret.Reveal()))
	// Output:
	// [secret]
	// 7
}
