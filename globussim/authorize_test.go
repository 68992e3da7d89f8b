package globussim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/globussim"
)

const (
	ada      = "ada@uni.example"
	grace    = "grace@lab.example"
	verifier = "0123456789012345678901234567890123456789abc"
	loopback = "http://localhost:8123/back?a=b"
)

func persons(cfg *globussim.Config) {
	cfg.Persons = []globussim.Person{{Username: ada, Name: "Ada <b>Lovelace</b>"}, {Username: grace}}
	cfg.Collections[0].SessionPolicy = "11110000-0000-4000-8000-000000000001"
	cfg.Collections[0].MFARequired = true
	cfg.Collections[3].Access = []globussim.AccessRule{{Principal: globussim.PersonID(ada), Permissions: "rw"}}
}

// question is a request to log in, changed by the edits; an empty value takes a
// parameter out.
func question(edits ...map[string]string) url.Values {
	challenge := sha256.Sum256([]byte(verifier))
	form := url.Values{
		"response_type": {"code"}, "client_id": {nativeApp}, "redirect_uri": {loopback}, "scope": {transferAll}, "state": {"st&te"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}, "access_type": {"offline"},
	}
	for _, edit := range edits {
		for name, value := range edit {
			form.Set(name, value)
			if value == "" {
				form.Del(name)
			}
		}
	}
	return form
}

// A page is what a browser gets, without following a redirect.
type page struct {
	status   int
	text     string
	location *url.URL // nil if there is none
	header   http.Header
}

func browse(t *testing.T, s *globussim.Server, method, address string, form url.Values) page {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", formType)
	resp, err := s.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	p := page{status: resp.StatusCode, text: string(text), header: resp.Header}
	if resp.Header.Get("Location") != "" {
		if p.location, err = resp.Location(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// asked opens the page on which the person decides.
func asked(t *testing.T, s *globussim.Server, form url.Values) page {
	t.Helper()
	return browse(t, s, http.MethodGet, authBase+"/v2/oauth2/authorize?"+form.Encode(), nil)
}

// decide sends the form of that page.
func decide(t *testing.T, s *globussim.Server, form url.Values, person, decision string) page {
	t.Helper()
	form.Set("identity", globussim.PersonID(person))
	form.Set("decision", decision)
	return browse(t, s, http.MethodPost, authBase+"/v2/oauth2/authorize", form)
}

// exchangeCode redeems a code as the native app.
func exchangeCode(t *testing.T, s *globussim.Server, code string, edits ...map[string]string) answer {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {nativeApp}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {loopback}}
	for _, edit := range edits {
		for name, value := range edit {
			form.Set(name, value)
		}
	}
	return ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", "", formType, form.Encode())
}

// logIn returns the answer to the exchange after a login.
func logIn(t *testing.T, s *globussim.Server, person string, edits ...map[string]string) answer {
	t.Helper()
	p := decide(t, s, question(edits...), person, "allow")
	if p.location == nil {
		t.Fatalf("got %d %s", p.status, p.text)
	}
	a := exchangeCode(t, s, p.location.Query().Get("code"))
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	return a
}

func refresh(t *testing.T, s *globussim.Server, token string) answer {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {nativeApp}, "refresh_token": {token}}
	return ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token", "", formType, form.Encode())
}

func TestThePageTellsWhatIsAskedForAndByWhom(t *testing.T) {
	s := startWorld(t, persons)
	p := asked(t, s, question(map[string]string{
		"scope":           transferAll + "[*" + dataAccess("mapped") + "] openid",
		"session_message": "for <i>you</i>",
	}))
	for _, want := range []string{
		"Ada &lt;b&gt;Lovelace&lt;/b&gt; (ada@uni.example)", grace, "for &lt;i&gt;you&lt;/i&gt;", "service account would like to:",
		"Manage data using Globus Transfer", "Reach your data on the collection mapped", "Know who you are in Globus", "until you take it back",
		`name="state" value="st&amp;te"`, `<label for="` + globussim.PersonID(ada) + `">`, `lang="en"`,
	} {
		if !strings.Contains(p.text, want) {
			t.Errorf("the page lacks %q:\n%s", want, p.text)
		}
	}
	if p.status != http.StatusOK || !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") || p.header.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(p.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("got %d %v", p.status, p.header)
	}
	if loads := regexp.MustCompile(`(?i)<script|<link|<img|src=|https?://[^"]*\.(css|js)`).FindString(p.text); loads != "" {
		t.Errorf("the page loads something: %s", loads)
	}
}

func TestAFaultyRequestIsAPageAndNeverARedirect(t *testing.T) {
	s := startWorld(t, persons)
	tests := map[string]struct {
		edit map[string]string
		want string
	}{
		"no client":         {map[string]string{"client_id": ""}, "no client with this client_id"},
		"unknown client":    {map[string]string{"client_id": "0f1e2d3c-0000-4000-8000-00000000000f"}, "no client with this client_id"},
		"service account":   {map[string]string{"client_id": robot}, "is a service account"},
		"no redirect":       {map[string]string{"redirect_uri": ""}, "redirect_uri is not registered"},
		"redirect away":     {map[string]string{"redirect_uri": "https://evil.example/"}, "redirect_uri is not registered"},
		"redirect by user":  {map[string]string{"redirect_uri": "http://localhost@evil.example/"}, "redirect_uri is not registered"},
		"redirect by name":  {map[string]string{"redirect_uri": "http://localhost.evil.example/"}, "redirect_uri is not registered"},
		"other code page":   {map[string]string{"redirect_uri": "https://evil.example/v2/web/auth-code"}, "redirect_uri is not registered"},
		"script":            {map[string]string{"redirect_uri": "javascript:alert(1)"}, "redirect_uri is not registered"},
		"no PKCE":           {map[string]string{"code_challenge": ""}, "PKCE"},
		"plain PKCE":        {map[string]string{"code_challenge_method": "plain"}, "PKCE"},
		"response_type":     {map[string]string{"response_type": "token"}, "response_type is not code"},
		"no scope":          {map[string]string{"scope": ""}, "malformed"},
		"unknown scope":     {map[string]string{"scope": "urn:nobody:all"}, "Unknown scopes: urn:nobody:all"},
		"data_access guest": {map[string]string{"scope": dataAccess("guest")}, "Unknown scopes"},
		"unknown policy":    {map[string]string{"session_required_policies": "p9"}, "no authentication policy p9"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, p := range []page{asked(t, s, question(tt.edit)), decide(t, s, question(tt.edit), ada, "allow")} {
				if p.status != http.StatusBadRequest || p.location != nil || !strings.Contains(p.text, tt.want) {
					t.Errorf("got %d to %v: %s", p.status, p.location, p.text)
				}
			}
		})
	}
}

func TestThePersonDecides(t *testing.T) {
	s := startWorld(t, persons)
	allowed := decide(t, s, question(), ada, "allow")
	to := allowed.location.Query()
	if allowed.status != http.StatusSeeOther || allowed.location.Host != "localhost:8123" || allowed.location.Path != "/back" ||
		to.Get("a") != "b" || to.Get("state") != "st&te" || to.Get("code") == "" || to.Get("error") != "" {
		t.Errorf("allowed: got %d to %v", allowed.status, allowed.location)
	}
	to = decide(t, s, question(), ada, "refuse").location.Query()
	if to.Get("error") != "access_denied" || to.Get("state") != "st&te" || to.Has("code") {
		t.Errorf("refused: got %v", to)
	}
	if len(s.State().Consents[globussim.PersonID(ada)]) != 1 {
		t.Errorf("consents %v, want the one that was given", s.State().Consents)
	}
	if p := decide(t, s, question(), "nobody@uni.example", "allow"); p.status != http.StatusBadRequest || p.location != nil {
		t.Errorf("nobody: got %d to %v", p.status, p.location)
	}
}

func TestTheCodeIsShownToThoseWhoCarryIt(t *testing.T) {
	s := startWorld(t, persons)
	for _, redirect := range []string{authBase + "/v2/web/auth-code", "https://auth.globus.org/v2/web/auth-code"} {
		to := decide(t, s, question(map[string]string{"redirect_uri": redirect}), ada, "allow").location
		p := browse(t, s, http.MethodGet, to.String(), nil)
		code := to.Query().Get("code")
		if p.status != http.StatusOK || !strings.Contains(p.text, `readonly value="`+code+`"`) {
			t.Errorf("got %d %s", p.status, p.text)
		}
		if a := exchangeCode(t, s, code, map[string]string{"redirect_uri": redirect}); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	for query, want := range map[string]string{"": "no code to show", "?error=access_denied": "did not allow", "?code=<b>": "&lt;b&gt;"} {
		if p := browse(t, s, http.MethodGet, authBase+"/v2/web/auth-code"+query, nil); !strings.Contains(p.text, want) {
			t.Errorf("%q: got %d %s", query, p.status, p.text)
		}
	}
}

func TestACodeIsGoodOnceForItsClientAndForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWorld(t, persons, func(cfg *globussim.Config) {
			cfg.Accounts = append(cfg.Accounts, globussim.Account{ID: "0f1e2d3c-0000-4000-8000-000000000004", NativeApp: true})
		})
		code := func() string { return decide(t, s, question(), ada, "allow").location.Query().Get("code") }
		used, old := code(), code()
		exchangeCode(t, s, used)
		time.Sleep(10*time.Minute - time.Second)
		late := code()
		if a := exchangeCode(t, s, late); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.body)
		}
		time.Sleep(time.Second)
		for name, a := range map[string]answer{
			"used":           exchangeCode(t, s, used),
			"old":            exchangeCode(t, s, old),
			"none":           exchangeCode(t, s, ""),
			"other verifier": exchangeCode(t, s, code(), map[string]string{"code_verifier": verifier + "x"}),
			"other redirect": exchangeCode(t, s, code(), map[string]string{"redirect_uri": "http://localhost:1/"}),
			"other client":   exchangeCode(t, s, code(), map[string]string{"client_id": "0f1e2d3c-0000-4000-8000-000000000004"}),
		} {
			if a.status != http.StatusUnauthorized || a.text("error") != "invalid_grant" || a.doc["errors"] != nil {
				t.Errorf("%s: got %d %s", name, a.status, a.body)
			}
		}
	})
}

func TestTokensOfAPersonActForThePerson(t *testing.T) {
	s := startWorld(t, persons)
	a := logIn(t, s, ada, map[string]string{"scope": "openid profile email " + transferAll})
	me := get(t, s, authBase+"/v2/oauth2/userinfo", "Bearer "+a.text("access_token"))
	want := map[string]any{"sub": globussim.PersonID(ada), "preferred_username": ada, "email": ada}
	for key, value := range want {
		if me.doc[key] != value {
			t.Errorf("%s is %v, want %v", key, me.doc[key], value)
		}
	}
	if a.text("id_token") == "" || a.text("refresh_token") == "" {
		t.Errorf("got %s", a.body)
	}
	found := get(t, s, authBase+"/v2/api/identities?usernames="+ada, basic(robot, robotSecret))
	if !strings.Contains(string(found.body), globussim.PersonID(ada)) {
		t.Errorf("identities: %s", found.body)
	}
	for person, status := range map[string]int{ada: http.StatusOK, grace: http.StatusForbidden} {
		token := "Bearer " + logIn(t, s, person).text("access_token")
		if got := get(t, s, transferBase+"/v0.10/operation/endpoint/"+globussim.CollectionID("laptop")+"/ls", token); got.status != status {
			t.Errorf("%s: got %d %s, want %d", person, got.status, got.body, status)
		}
	}
}

func TestConsentsOfAPersonAreForOneClient(t *testing.T) {
	const second = "0f1e2d3c-0000-4000-8000-000000000004"
	s := startWorld(t, persons, func(cfg *globussim.Config) {
		cfg.Accounts = append(cfg.Accounts, globussim.Account{ID: second, NativeApp: true})
	})
	ls := func(token string) int {
		return get(t, s, transferBase+"/v0.10/operation/endpoint/"+globussim.CollectionID("mapped")+"/ls", "Bearer "+token).status
	}
	before := logIn(t, s, ada).text("access_token")
	if got := ls(before); got != http.StatusForbidden {
		t.Errorf("without a consent: %d", got)
	}
	logIn(t, s, ada, map[string]string{"scope": transferAll + "[*" + dataAccess("mapped") + "]"})
	if got := ls(before); got != http.StatusOK {
		t.Errorf("an older token does not profit from a consent: %d", got)
	}
	code := decide(t, s, question(map[string]string{"client_id": second}), ada, "allow").location.Query().Get("code")
	if got := ls(exchangeCode(t, s, code, map[string]string{"client_id": second}).text("access_token")); got != http.StatusForbidden {
		t.Errorf("another client profits from the consent: %d", got)
	}
	if got := ls(logIn(t, s, grace).text("access_token")); got != http.StatusForbidden {
		t.Errorf("another person profits from the consent: %d", got)
	}
	s.RescindConsents(nativeApp)
	if got := ls(before); got != http.StatusForbidden {
		t.Errorf("after it was taken back: %d", got)
	}
}

func TestTheStateComesBackWithTheCodeAndWithTheTokens(t *testing.T) {
	s := startWorld(t, persons)
	if got := logIn(t, s, ada).text("state"); got != "st&te" {
		t.Errorf("got %q with the tokens", got)
	}
	none := map[string]string{"state": ""}
	if to := decide(t, s, question(none), ada, "allow").location; to.Query().Has("state") {
		t.Errorf("none was sent, and the browser goes to %v", to)
	}
	if a := logIn(t, s, ada, none); a.doc["state"] != nil {
		t.Errorf("none was sent: %s", a.body)
	}
}

func TestOfflineAccessAsAScopeBringsRefreshTokens(t *testing.T) {
	s := startWorld(t, persons)
	edit := map[string]string{"access_type": "", "scope": "openid " + transferAll + " offline_access"}
	a := logIn(t, s, ada, edit)
	if a.text("refresh_token") == "" || strings.Contains(string(a.body), "offline_access") {
		t.Errorf("got %s, want refresh tokens and no such scope", a.body)
	}
	edit["scope"] = "offline_access"
	if p := asked(t, s, question(edit)); p.status != http.StatusBadRequest {
		t.Errorf("that scope alone: got %d", p.status)
	}
}

func TestRefreshTokensComeOfflineOnlyAndLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWorld(t, persons)
		if a := logIn(t, s, ada, map[string]string{"access_type": "online"}); a.doc["refresh_token"] != nil {
			t.Errorf("online: %s", a.body)
		}
		token := logIn(t, s, ada).text("refresh_token")
		for range 3 {
			time.Sleep(179 * 24 * time.Hour)
			a := refresh(t, s, token)
			if a.status != http.StatusOK || a.doc["refresh_token"] != nil || a.doc["other_tokens"] == nil {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			if got := get(t, s, transferBase+"/v0.10/task_list", "Bearer "+a.text("access_token")); got.status != http.StatusOK {
				t.Errorf("the new token: %d", got.status)
			}
		}
		time.Sleep(180 * 24 * time.Hour)
		if a := refresh(t, s, token); a.status != http.StatusUnauthorized || a.text("error") != "invalid_grant" {
			t.Errorf("after half a year: %d %s", a.status, a.body)
		}
	})
}

func TestARotatedRefreshTokenIsGoodOnce(t *testing.T) {
	s := startWorld(t, persons, func(cfg *globussim.Config) { cfg.RotateRefreshTokens = true })
	first := logIn(t, s, ada).text("refresh_token")
	second := refresh(t, s, first).text("refresh_token")
	if second == "" || second == first || refresh(t, s, first).status != http.StatusUnauthorized || refresh(t, s, second).status != http.StatusOK {
		t.Errorf("got %q after %q", second, first)
	}
}

func TestRefreshTokensEnd(t *testing.T) {
	tests := map[string]func(s *globussim.Server, token string){
		"revoked by the client": func(s *globussim.Server, token string) {
			form := url.Values{"client_id": {nativeApp}, "token": {token}}
			ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token/revoke", "", formType, form.Encode())
		},
		"revoked on order":      func(s *globussim.Server, _ string) { s.RevokeTokens(nativeApp) },
		"all revoked, on order": func(s *globussim.Server, _ string) { s.RevokeTokens() },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			s := startWorld(t, persons)
			token := logIn(t, s, ada).text("refresh_token")
			s.ExpireTokens() // ends access tokens only
			if a := refresh(t, s, token); a.status != http.StatusOK {
				t.Errorf("after the access tokens expired: %d", a.status)
			}
			end(s, token)
			if a := refresh(t, s, token); a.status != http.StatusUnauthorized {
				t.Errorf("got %d", a.status)
			}
		})
	}
}

func TestANativeAppLearnsNothingAboutTokens(t *testing.T) {
	s := startWorld(t, persons)
	form := url.Values{"client_id": {nativeApp}, "token": {logIn(t, s, ada).text("access_token")}}
	a := ask(t, s.Client(), http.MethodPost, authBase+"/v2/oauth2/token/introspect", "", formType, form.Encode())
	if a.status != http.StatusUnauthorized {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestSessionRequirementsChooseWhoMayLogIn(t *testing.T) {
	s := startWorld(t, persons)
	tests := map[string]struct {
		edit map[string]string
		want []string // who is offered
	}{
		"anybody":  {nil, []string{ada, grace}},
		"username": {map[string]string{"session_required_identities": "x,ADA@uni.example"}, []string{ada}},
		"id":       {map[string]string{"session_required_identities": globussim.PersonID(grace)}, []string{grace}},
		"domain":   {map[string]string{"session_required_single_domain": "lab.example"}, []string{grace}},
		"nobody":   {map[string]string{"session_required_single_domain": "other.example"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := asked(t, s, question(tt.edit)).text
			var got []string
			for _, person := range []string{ada, grace} {
				if strings.Contains(text, "("+person+")") {
					got = append(got, person)
				}
				allowed := decide(t, s, question(tt.edit), person, "allow").location != nil
				if allowed != slices.Contains(tt.want, person) {
					t.Errorf("%s gets a code: %t", person, allowed)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("offered (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALoginMeetsWhatACollectionAsksOfTheSession(t *testing.T) {
	s := startWorld(t, persons)
	const policy = "11110000-0000-4000-8000-000000000001"
	tests := map[string]struct {
		edit   map[string]string
		status int
	}{
		"neither": {nil, http.StatusForbidden},
		"policy":  {map[string]string{"session_required_policies": policy}, http.StatusForbidden},
		"factor":  {map[string]string{"session_required_mfa": "true"}, http.StatusForbidden},
		"both":    {map[string]string{"session_required_policies": policy, "session_required_mfa": "true"}, http.StatusOK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := logIn(t, s, ada, tt.edit)
			renewed := refresh(t, s, a.text("refresh_token"))
			for _, token := range []string{a.text("access_token"), renewed.text("access_token")} {
				got := get(t, s, transferBase+"/v0.10/operation/endpoint/"+globussim.CollectionID("guest")+"/ls", "Bearer "+token)
				if got.status != tt.status {
					t.Errorf("got %d %s, want %d", got.status, got.body, tt.status)
				}
			}
		})
	}
}

func TestPersonsThatCannotBe(t *testing.T) {
	for name, tt := range map[string]struct {
		persons []globussim.Person
		want    string
	}{
		"no domain":       {[]globussim.Person{{Username: "ada"}}, "not of the form user@domain"},
		"service account": {[]globussim.Person{{Username: "x@clients.auth.globus.org"}}, "not of the form user@domain"},
		"id":              {[]globussim.Person{{Username: ada, ID: "1"}}, `the id "1" is not a UUID`},
		"twice":           {[]globussim.Person{{Username: ada}, {Username: "ADA@uni.example"}}, "occurs twice"},
	} {
		cfg := world(t.TempDir())
		cfg.Persons = tt.persons
		if _, err := globussim.New(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}
