package clientcreds_test

import (
	"context"
	"fmt"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
)

// A service account gets its token.
func ExampleNew() {
	const id, secret = "0b6c8f2e-0000-4000-8000-00000000c1d0", "made up"
	globus, err := globussim.New(globussim.Config{Accounts: []globussim.Account{{ID: id, Secret: secret}}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = globus.Close() }() // it has no tasks

	simulated := clientcreds.WithClient(auth.New(globus.Client())) // instead of the service
	token, err := clientcreds.New(id, secret, simulated).Token(context.Background(), auth.TransferServer)
	fmt.Println(token.TokenType, token.AccessToken, err)

	_, err = clientcreds.New(id, "another", simulated).Token(context.Background(), auth.TransferServer)
	fmt.Println(err != nil)
	// Output:
	// Bearer [secret] <nil>
	// true
}
