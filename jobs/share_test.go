package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
)

const aliceID = "0b6c8f2e-0000-4000-8000-0000000000a1"

// shared is a jobs file whose only job has one share.
func shared(share string) string {
	return head + "jobs:\n  hand-out: {steps: [{share: {" + share + "}}]}\n"
}

func TestWhatCannotBeSharedIsAProblem(t *testing.T) {
	const to = "collection: vault, path: /a/, with: {user: alice@example.edu}"
	tests := map[string][]string{
		``: {
			`the key "collection" is missing, say where`, `the key "path" is missing, say what`,
			`the key "with" is missing, say with whom, such as with: {user: alice@example.edu}`,
		},
		to + ", permissions: w, expires: forever, notify: alice": { // all at once
			`got "w", want r or rw`, `"forever" is neither a duration such as 90d nor a date such as 2027-01-31`,
			`"alice" is not an address such as pi@example.edu`,
		},
		to + ", expires: 5s":                          {"5s is too short, want at least 1m"},
		to + ", expires: 9999d":                       {"9999d is too long, at most 3650d are possible"},
		to + ", expires: 2027-02-30":                  {`"2027-02-30" is neither a duration`},
		to + ", message: look":                        {"the message goes to the address in notify; give one, or leave the message out"},
		to + ", message: '{{ .Jb }}'":                 {"hand-out.steps[0].share.message: "},
		to + ", expiration_date: 1d":                  {"did you mean expires?"},
		"collection: vault, path: /a/, with: {}":      {"want exactly one of user, identity, group and all_authenticated_users"},
		"collection: vault, path: /a/, with: a@b.edu": {`got "a@b.edu", want a mapping such as {user: alice@example.edu}`},
		"collection: vault, path: /a/, with: {user: alice@example.edu, group: " + aliceID + "}": {"there is user already"},
		"collection: vault, path: /a/, with: {user: alice}":                                     {`"alice" is not a user name such as alice@example.edu`},
		"collection: vault, path: /a/, with: {user: 'a@b.edu,c@d.edu'}":                         {`"a@b.edu,c@d.edu" is not a user name`},
		"collection: vault, path: /a/, with: {user: " + aliceID + "}":                           {"is an id, not a user name; give it as an identity or a group"},
		"collection: vault, path: /a/, with: {identity: alice@example.edu}":                     {`"alice@example.edu" is not the id of an identity (a UUID)`},
		"collection: vault, path: /a/, with: {group: lab7}":                                     {`"lab7" is not the id of a group (a UUID)`},
		"collection: vault, path: /a/, with: {all_authenticated_users: false}":                  {"false shares with nobody; write true, or a user, an identity or a group in its place"},
		"collection: vault, path: ~/a/, with: {user: a@b.edu}":                                  {`path "/~/a/" begins in a home folder`},
		"collection: vault, path: '/a*/', with: {user: a@b.edu}":                                {`path "/a*/" has a wildcard, which Globus takes literally here; share the folder above`},
		"collection: vault, path: /a/../b, with: {user: a@b.edu}":                               {".. in it"},
		"collection: vault, path: /" + strings.Repeat("a", 2000) + ", with: {user: a@b.edu}":    {"the path has 2002 bytes, at most 2000 are possible in an access rule"},
	}
	for share, wants := range tests {
		_, err := parseText(shared(share))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", share, err, want)
			}
		}
	}
}

func TestAJobIsNotOnlyAShare(t *testing.T) {
	_, err := parseText(head + "jobs:\n  hand-out: {share: {collection: vault, path: /a/, with: {user: a@b.edu}}}\n")
	want := "jobs.hand-out.share: share is a step; write steps: [{share: …}]"
	if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want %s alone", err, want)
	}
}

func TestSharingWithEverybodyToWriteIsAWarning(t *testing.T) {
	for permissions, warnings := range map[string]int{"r": 0, "rw": 1} {
		file, err := parseText(shared("collection: vault, path: /a/, with: {all_authenticated_users: true}, permissions: " + permissions))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range file.Warnings {
			if strings.Contains(w.Msg, "everybody who can log in to Globus may then change and delete what is there") {
				got = append(got, w.Msg)
			}
		}
		if len(got) != warnings {
			t.Errorf("%s: got the warnings %q, want %d", permissions, got, warnings)
		}
	}
}

func TestShareIsRendered(t *testing.T) {
	file, err := parseText(shared(`collection: vault, path: '/out//{{ .Time | date }}', with: {user: Alice@Example.edu}, notify: a@b.edu, message: '{{ .Key }}'`))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	steps, err := file.Jobs[0].Render(jobs.ScheduledKey(at), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &jobs.Share{
		Collection: vaultID, Path: "/out/2026-11-21/", With: jobs.Principal{Kind: jobs.User, Name: "alice@example.edu"},
		Permissions: "r", Notify: "a@b.edu", Message: "2026-11-21T02:00:00Z",
	}
	if diff := cmp.Diff(want, steps[0].Share); diff != "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
	if got := file.Jobs[0].Steps[0].Share.Path; got != "/out//{{ .Time | date }}/" {
		t.Errorf("the job has the path %s now", got)
	}
}

func TestShareEndsSomeTimeAfterItsOccurrence(t *testing.T) {
	begin := time.Date(2026, 11, 21, 2, 0, 0, 5e8, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"":                          "0001-01-01T00:00:00Z never",
		"90d":                       "2027-02-19T01:00:00Z 90d",
		"90m":                       "2026-11-21T02:30:00Z 1h30m",
		"2027-01-31":                "2027-01-31T00:00:00Z 2027-01-31T00:00:00Z",
		"2027-01-31T12:00:00+01:00": "2027-01-31T11:00:00Z 2027-01-31T11:00:00Z",
	} {
		var e jobs.Expiry
		if text != "" {
			var err error
			if e, err = jobs.ParseExpiry(text); err != nil {
				t.Fatal(err)
			}
		}
		if got := e.End(begin).Format(time.RFC3339Nano) + " " + e.String(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// What is taken is written as it is read.
func FuzzParseExpiry(f *testing.F) {
	for _, text := range []string{"90d", "1h30m", "2027-01-31", "2027-01-31T12:00:00+01:00", "0001-01-01", "9999d", "-1d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := jobs.ParseExpiry(text)
		if err != nil {
			return
		}
		if e == (jobs.Expiry{}) {
			t.Fatalf("%q is read as never", text)
		}
		if again, err := jobs.ParseExpiry(e.String()); err != nil || again.End(time.Unix(0, 0)) != e.End(time.Unix(0, 0)) {
			t.Errorf("%q is written %q, which is read as %v, %v", text, e, again, err)
		}
	})
}
