package globussim

// An Account is a registered application: a service account that may ask for
// client-credentials tokens.
type Account struct {
	ID     string // client id: a lower-case UUID, also the identity's id
	Secret string
	Name   string // the application's name; empty means "service account"
	// NativeApp makes it a public client: it has no secret that counts, and
	// the client-credentials grant is refused.
	NativeApp bool

	template string // the native app that it was made from; empty for others
}

// asksPersons reports whether persons log in through the client.
func (account Account) asksPersons() bool { return account.NativeApp || account.template != "" }
