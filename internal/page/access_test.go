package page_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
	"github.com/globus-runner/globus-runner/internal/page"
)

func TestWhoMayRead(t *testing.T) {
	proxied := func(c *page.Config) { c.Access.UserHeader = "X-User" }
	for name, tt := range map[string]struct {
		from, host string
		header     []string
		status     int
	}{
		"the same machine":                 {"127.0.0.1:1", "localhost:9090", nil, 200},
		"the same machine, IPv6":           {"[::1]:1", "[::1]:9090", nil, 200},
		"another name for the same":        {"127.0.0.1:1", "evil.example:9090", nil, 401},
		"a proxy on the same machine":      {"127.0.0.1:1", "127.0.0.1", []string{"X-Forwarded-For", "192.0.2.1"}, 401},
		"another machine":                  {"192.0.2.1:1", "localhost", nil, 401},
		"with the view token":              {"192.0.2.1:1", "runner.example", []string{"Authorization", "Bearer " + viewToken}, 200},
		"with the admin token":             {"192.0.2.1:1", "runner.example", []string{"Authorization", "bearer " + adminToken}, 200},
		"with a wrong token":               {"192.0.2.1:1", "runner.example", []string{"Authorization", "Bearer " + viewToken + "x"}, 401},
		"with a wrong token, same machine": {"127.0.0.1:1", "localhost", []string{"Authorization", "Bearer x"}, 401},
		"with no token":                    {"192.0.2.1:1", "runner.example", []string{"Authorization", "Bearer "}, 401},
		"with another scheme":              {"192.0.2.1:1", "runner.example", []string{"Authorization", "Basic " + viewToken}, 401},
		"named by a proxy":                 {"192.0.2.1:1", "runner.example", []string{"X-User", "ada@example.edu"}, 200},
		"named by nobody":                  {"192.0.2.1:1", "runner.example", []string{"X-User", ""}, 401},
		"with a bad cookie":                {"192.0.2.1:1", "runner.example", []string{"Cookie", "runner_session=e30.x"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, someJobs, proxied)
			d.from, d.host = tt.from, tt.host
			d.want("the API", d.get("/api/v1/jobs", tt.header...), tt.status)
			got := d.get("/runs?job=nightly", tt.header...)
			d.want("the page", got, tt.status)
			if tt.status == 401 && (!strings.Contains(got.text, `name="to" value="/runs?job=nightly"`) || got.header.Get("WWW-Authenticate") == "") {
				t.Errorf("nobody is asked to sign in:\n%s", got.text)
			}
		})
	}
	d := newDesk(t, someJobs)
	d.from = "192.0.2.1:1"
	d.want("named by a header that is not of a proxy", d.get("/", "X-User", "ada"), 401)
}

func TestWhoMayAct(t *testing.T) {
	none := func() (string, error) { return "", nil }
	for name, tt := range map[string]struct {
		header []string
		edit   func(*page.Config)
		status int
	}{
		"nobody":                    {nil, nil, 401},
		"a reader":                  {[]string{"Authorization", "Bearer " + viewToken}, nil, 403},
		"named by a proxy":          {[]string{"X-User", "ada"}, nil, 403},
		"an admin":                  {[]string{"Authorization", "Bearer " + adminToken}, nil, 202},
		"where nobody can":          {[]string{"Authorization", "Bearer " + viewToken}, func(c *page.Config) { c.Access.Admin = none }, 403},
		"no token where there is":   {[]string{"Authorization", "Bearer "}, func(c *page.Config) { c.Access.Admin = none }, 401},
		"with a token not readable": {[]string{"Authorization", "Bearer " + adminToken}, func(c *page.Config) { c.Access.Admin = func() (string, error) { return "", errors.New("hush") } }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, someJobs, func(c *page.Config) {
				c.Access.UserHeader = "X-User"
				if tt.edit != nil {
					tt.edit(c)
				}
			})
			for _, path := range []string{"/api/v1/jobs/nightly/pause", "/api/v1/jobs/nightly/resume", "/api/v1/jobs/nightly/trigger"} {
				got := d.send(http.MethodPost, path, "", tt.header...)
				d.want(path, got, tt.status)
				if strings.Contains(got.text, "hush") {
					t.Errorf("the answer has what the log should have: %s", got.text)
				}
			}
		})
	}
}

func TestSessionOfABrowser(t *testing.T) {
	d := newDesk(t, someJobs)
	d.from, d.host = "192.0.2.1:1", "runner.example"
	form := url.Values{"token": {adminToken}, "name": {"Ada\u202e "}, "to": {"/jobs/nightly"}}
	signIn := func(form url.Values, header ...string) answer {
		return d.send(http.MethodPost, "/sign-in", form.Encode(), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	got := signIn(form, "X-Forwarded-Proto", "https")
	d.want("sign in", got, 303)
	cookie := got.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie is not %s: %s", want, cookie)
		}
	}
	if got.header.Get("Location") != "/jobs/nightly" || strings.Contains(cookie, adminToken) {
		t.Errorf("got %v", got.header)
	}
	if plain := signIn(form).header.Get("Set-Cookie"); strings.Contains(plain, "Secure") {
		t.Errorf("without TLS the browser would not send the cookie: %s", plain)
	}
	value, _, _ := strings.Cut(cookie, ";")
	d.header.Set("Cookie", value)
	d.want("the job", d.get("/jobs/nightly"), 200, "Run now", "Sign out", "may act")
	paused := d.send(http.MethodPost, "/jobs/nightly/pause", "reason=the+disk&for=8h", "Content-Type", "application/x-www-form-urlencoded")
	d.want("pause", paused, 303)
	d.want("the job", d.get("/jobs/nightly"), 200, "the disk", "Resume", "pause until")
	acted, err := d.ledger.Actions(t.Context(), "nightly", 9)
	if err != nil || len(acted) != 1 || acted[0].Who != `Ada\u202e` || acted[0].Why != "the disk" || acted[0].Until.Before(time.Now().Add(7*time.Hour)) {
		t.Errorf("kept: %+v, %v", acted, err)
	}
	d.want("sign out", d.send(http.MethodPost, "/sign-out", ""), 303)

	// A cookie is good for its token alone, and is not good once it was changed.
	for name, changed := range map[string]string{"cut": value[:len(value)-2], "of another role": strings.Replace(value, "=", "=eyJ", 1)} {
		d.header.Set("Cookie", changed)
		d.want(name, d.get("/"), 401)
	}
	other := newDesk(t, someJobs, func(c *page.Config) {
		c.Access.Admin = func() (string, error) { return adminToken + "2", nil }
	})
	other.from = d.from
	other.want("after the token was replaced", other.get("/", "Cookie", value), 401)
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		d.from = "192.0.2.1:1"
		got := d.send(http.MethodPost, "/sign-in", "token="+viewToken, "Content-Type", "application/x-www-form-urlencoded")
		value, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
		time.Sleep(12*time.Hour - time.Second)
		d.want("before its end", d.get("/", "Cookie", value), 200)
		time.Sleep(2 * time.Second)
		d.want("after its end", d.get("/", "Cookie", value), 401)
		_ = d.ledger.Close() // so that nothing of it is left in the bubble
	})
}

func TestSignInLeadsToNoOtherSite(t *testing.T) {
	d := newDesk(t, someJobs)
	for _, to := range []string{"//evil.example/", "https://evil.example/", `/\evil.example`, "javascript:alert(1)", "", "/\t/evil.example", "evil"} {
		form := url.Values{"token": {viewToken}, "to": {to}}
		got := d.send(http.MethodPost, "/sign-in", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		if l := got.header.Get("Location"); got.status != 303 || l != "/" {
			t.Errorf("%q leads to %q (status %d), want /", to, l, got.status)
		}
	}
}

func TestWrongTokensAreCountedAndAnsweredLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		guess := func(i int) answer { return d.get("/api/v1/jobs", "Authorization", fmt.Sprintf("Bearer guess-%d", i)) }
		begin := time.Now()
		for i := range 10 {
			d.want("a guess", guess(i), 401)
		}
		if late := time.Since(begin); late != 0 {
			t.Errorf("the first guesses were answered %v late, want at once", late)
		}
		got := guess(11)
		d.want("one more guess", got, 429, `{"error":"`, "too many wrong ones")
		description := decode[struct {
			Paths map[string]map[string]struct{ Responses object }
		}](t, d.get("/api/v1/openapi.json"))
		if description.Paths["/jobs"]["get"].Responses["429"] == nil {
			t.Error("the status 429 is not described")
		}
		if got.header.Get("Retry-After") == "" {
			t.Error("nobody says when to try again")
		}
		d.want("one more, to sign in", d.send(http.MethodPost, "/sign-in", "token=guess", "Content-Type", "application/x-www-form-urlencoded"), 429)
		if late := time.Since(begin); late != 2*time.Second {
			t.Errorf("two guesses too many were answered %v late, want a second each", late)
		}
		time.Sleep(10 * time.Second)
		d.want("a guess later", guess(12), 401)
		d.want("one more than that", guess(13), 429)

		// Of many places together, and of the addresses of one network.
		allowed, of6 := 0, 0
		time.Sleep(time.Hour)
		begin = time.Now()
		for i := range 1000 {
			d.from = fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)
			if guess(i).status == 401 {
				allowed++
			}
		}
		most := 200 + int(time.Since(begin)/(500*time.Millisecond))
		time.Sleep(time.Hour)
		for i := range 50 {
			d.from = fmt.Sprintf("[2001:db8::%x]:1", i+1)
			if guess(i).status == 401 {
				of6++
			}
		}
		if allowed > most || allowed < 100 || of6 < 10 || of6 > 15 {
			t.Errorf("%d guesses from many places and %d from one network, want at most %d and 15", allowed, of6, most)
		}
		_ = d.ledger.Close() // so that nothing of it is left in the bubble
	})
}

func TestTheRightTokenIsLetInWhileOthersGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, someJobs)
		d.from = "192.0.2.1:1" // of a proxy
		guess := func() answer { return d.get("/api/v1/jobs", "Authorization", "Bearer guess") }
		for range 10 {
			guess()
		}
		begin := time.Now()
		var guessing sync.WaitGroup
		for range 64 {
			guessing.Go(func() { guess() })
		}
		synctest.Wait() // all of them wait for their answers
		d.want("one guess too many to wait for", guess(), 429)
		d.want("to read", d.get("/api/v1/jobs", "Authorization", "Bearer "+viewToken), 200)
		d.want("to sign in", d.send(http.MethodPost, "/sign-in", "token="+viewToken, "Content-Type", "application/x-www-form-urlencoded"), 303)
		d.want("to act", d.post("/api/v1/jobs/nightly/pause", ""), 202)
		if late := time.Since(begin); late != 0 {
			t.Errorf("the right token was answered %v late, want at once", late)
		}
		guessing.Wait()
		if late := time.Since(begin); late != time.Second {
			t.Errorf("the guesses were answered after %v, want a second", late)
		}
		_ = d.ledger.Close() // so that nothing of it is left in the bubble
	})
}

func TestOtherSitesCannotAct(t *testing.T) {
	d := newDesk(t, someJobs)
	for name, header := range map[string][]string{
		"cross-site":    {"Sec-Fetch-Site", "cross-site"},
		"same site":     {"Sec-Fetch-Site", "same-site"},
		"old browser":   {"Origin", "https://evil.example"},
		"sandboxed":     {"Origin", "null"},
		"rebound name":  {"Origin", "http://evil.example:9090"},
		"another port":  {"Origin", "http://localhost:1"},
		"sign in there": {"Sec-Fetch-Site", "cross-site"},
	} {
		for _, path := range []string{"/api/v1/jobs/nightly/trigger", "/jobs/nightly/pause", "/sign-in", "/sign-out"} {
			got := d.send(http.MethodPost, path, "token="+adminToken, append(header, "Authorization", "Bearer "+adminToken, "Content-Type", "application/x-www-form-urlencoded")...)
			d.want(name+" "+path, got, 403, "another site")
		}
	}
	d.want("the page itself", d.send(http.MethodPost, "/api/v1/jobs/nightly/trigger", "", "Authorization", "Bearer "+adminToken, "Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:9090"), 202)
	if all, err := d.ledger.Actions(t.Context(), "nightly", 9); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v were done, want one alone", all, err)
	}
}

func TestActionsAreDoneOrRefusedWithTheReason(t *testing.T) {
	d := newDesk(t, someJobs)
	done := d.run("nightly", "1", ledger.Outcome{State: ledger.Succeeded})
	failed := d.run("nightly", "2", ledger.Outcome{State: ledger.Failed})
	working := d.run("nightly", "3", ledger.Outcome{})
	in := func(h time.Duration) string { return time.Now().Add(h).UTC().Format(time.RFC3339) }
	for _, tt := range []struct {
		path, body string
		status     int
		text       string
	}{
		{"jobs/nightly/trigger", "", 202, `"what":"trigger","job":"nightly","run":4`},
		{"jobs/nightly/trigger", `{"reason": "a new detector"}`, 202, `"why":"a new detector"`},
		{"jobs/each/trigger", "", 202, `"what":"trigger","job":"each","who"`},
		{"jobs/none/trigger", "", 404, "no such job"},
		{"jobs/nightly/trigger", `{"until": "8h"}`, 400, `unknown key \"until\"; a request to trigger can have reason"`},
		{"jobs/nightly/trigger", `{"reson": "r"}`, 400, `unknown key \"reson\"`},
		{"jobs/nightly/trigger", `{"reason": 7}`, 400, "reason is not a string"},
		{"jobs/nightly/trigger", `{"reason": "r"} {}`, 400, "not a JSON object"},
		{"jobs/nightly/resume", `{"until": "8h"}`, 400, `unknown key \"until\"; a request to resume`},
		{"jobs/nightly/pause", `{"untl": "8h"}`, 400, `unknown key \"untl\"; a request to pause can have reason, until"`},
		{fmt.Sprintf("runs/%d/cancel", working), `{"until": "8h"}`, 400, `unknown key \"until\"`},
		{"jobs/nightly/resume", "", 409, "it is not paused"},
		{"jobs/nightly/pause", `{"until": "` + in(-time.Hour) + `"}`, 409, "would be over already"},
		{"jobs/nightly/pause", `{"until": "tomorrow"}`, 400, "neither a duration such as 8h"},
		{"jobs/nightly/pause", `{"reason": "` + strings.Repeat("x", 1001) + `"}`, 400, "longer than 1000 bytes"},
		{"jobs/nightly/pause", strings.Repeat(" ", 20000), 413, "too large"},
		{"jobs/nightly/pause", `{"until": "` + in(time.Hour) + `"}`, 202, `"what":"pause"`},
		{"jobs/nightly/resume", "", 202, `"what":"resume"`},
		{fmt.Sprintf("runs/%d/retry", done), "", 409, "not possible in this state: run 1 has succeeded"},
		{fmt.Sprintf("runs/%d/retry", failed), "", 202, `"job":"nightly"`},
		{fmt.Sprintf("runs/%d/cancel", working), `{"reason": "wrong day"}`, 202, `"what":"cancel"`},
		{fmt.Sprintf("runs/%d/cancel", done), "", 409, "not possible in this state: run 1 has succeeded"},
		{"runs/99/cancel", "", 404, "no such run"},
		{"runs/x/retry", "", 404, "no such run"},
		{"jobs/nightly/dance", "", 404, "no such page"},
	} {
		d.want(tt.path+" "+tt.body[:min(len(tt.body), 40)], d.post("/api/v1/"+tt.path, tt.body), tt.status, tt.text)
	}
	d.want("of a person", d.post("/jobs/nightly/dance", ""), 404)
	d.want("of a person", d.post("/runs/1/dance", ""), 404)
	d.want("of a person", d.post("/runs/1/retry", ""), 409, "run 1 has succeeded")
	all, err := d.ledger.Actions(t.Context(), "nightly", 99)
	if err != nil || len(all) != 6 {
		t.Errorf("%d actions were kept, %v, want 6", len(all), err)
	}
	for _, a := range all {
		if a.Who != "token at 127.0.0.1" {
			t.Errorf("%s was asked for by %q", a.Kind, a.Who)
		}
	}
	if !strings.Contains(d.log.String(), "an action was taken") || strings.Contains(d.log.String(), adminToken) {
		t.Errorf("the log:\n%s", d.log)
	}
}

func TestNothingThatWasWrittenElsewhereIsHTML(t *testing.T) {
	const evil = `</b><script>alert(1)</script><img src=x onerror=alert(1)>'"` + "\u202e\x1b[31m"
	d := newDesk(t, strings.Replace(someJobs, "raw frames to the vault", `"<script>alert(1)</script>\u202e"`, 1))
	run := d.run("nightly", "k", ledger.Outcome{State: ledger.Failed, Code: evil, Message: evil})
	if err := d.ledger.Note(t.Context(), run, time.Now(), "<i>", evil); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ledger.Act(t.Context(), ledger.Action{Kind: ledger.ActionPause, Job: "nightly", Who: evil, Why: evil}); err != nil {
		t.Fatal(err)
	}
	if err := d.ledger.KeepItems(t.Context(), "each", []ledger.Item{{Name: evil, Key: "item:x", State: "waiting", Why: evil}}); err != nil {
		t.Fatal(err)
	}
	d.run("each", "k", ledger.Outcome{})
	d.page.Progress("each", page.Progress{Class: "<img src=x>"})
	for _, path := range []string{"/", "/jobs/nightly", "/jobs/each", "/runs/1", "/runs", "/items/each", "/?q=" + url.QueryEscape(evil), "/runs?job=" + url.QueryEscape(evil)} {
		got := d.get(path)
		d.want(path, got, 200)
		for _, bad := range []string{"<script>alert", "<img", "<i>", "\u202e", "\x1b"} {
			if strings.Contains(got.text, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
		if csp := got.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
		if strings.Contains(got.text, "style=") || strings.Contains(got.text, "onclick") {
			t.Errorf("%s has what its policy forbids", path)
		}
	}
}

func TestStaticFilesAreServedAndListedNowhere(t *testing.T) {
	d := newDesk(t, someJobs)
	for path, kind := range map[string]string{"/static/page.css": "text/css", "/static/live.js": "javascript", "/static/icon.svg": "image/svg"} {
		got := d.get(path)
		d.want(path, got, 200)
		if !strings.Contains(got.header.Get("Content-Type"), kind) {
			t.Errorf("%s is %s", path, got.header.Get("Content-Type"))
		}
	}
	d.want("a list", d.get("/static/"), 404)
	d.want("another file", d.get("/static/page.go"), 404)
	d.want("a method", d.send(http.MethodDelete, "/", ""), 405)
}
