package settings

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/globus-runner/globus-runner/auth"
)

// shortestToken is the length of the shortest token that cannot be guessed.
const shortestToken = 16

// A Page holds the variables for the page of serve: who may read it, and who may act
// on it.
type Page struct {
	ViewToken      auth.Secret `env:"RUNNER_VIEW_TOKEN" desc:"lets people on other machines read the page of serve and its API"`
	ViewTokenFile  string      `env:"RUNNER_VIEW_TOKEN_FILE" desc:"file that holds it, instead of RUNNER_VIEW_TOKEN"`
	AdminToken     auth.Secret `env:"RUNNER_ADMIN_TOKEN" desc:"lets people act on the page of serve: run now, pause, resume, retry, cancel; default: nobody can"`
	AdminTokenFile string      `env:"RUNNER_ADMIN_TOKEN_FILE" desc:"file that holds it, instead of RUNNER_ADMIN_TOKEN"`
	Address        PageURL     `env:"RUNNER_PAGE_URL" desc:"address at which people reach the page of serve, such as https://runner.example.org/: notices link to it; default: they do not"`
	UserHeader     string      `env:"RUNNER_PROXY_USER_HEADER" desc:"header in which a proxy before the page names who is signed in, such as X-Forwarded-User: they may read; only if nobody can get past the proxy"`
}

// A PageURL is the address of the page, or nothing.
type PageURL struct{ url *url.URL }

// UnmarshalText reads an address. Its error does not show one that may contain a
// password.
func (p *PageURL) UnmarshalText(text []byte) error {
	const want = "want the address of the page, such as https://runner.example.org/"
	u, err := url.Parse(string(text))
	switch {
	case bytes.ContainsAny(text, "@?#"):
		return errors.New("there is an @, ? or # in it (it is not shown, since it may hold a password): " + want)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("%q: %s", text, want)
	}
	p.url = u
	return nil
}

// At returns the address of a path of the page, or "" if the address of the page
// is not known.
func (p PageURL) At(path ...string) string {
	if p.url == nil {
		return ""
	}
	return p.url.JoinPath(path...).String()
}

// View returns the token for reading, or "" if none is set. A file is read each
// time.
func (p *Page) View() (string, error) {
	return pageToken("RUNNER_VIEW_TOKEN", p.ViewToken, p.ViewTokenFile)
}

// Admin returns the token for acting, or "" if none is set. A file is read each
// time.
func (p *Page) Admin() (string, error) {
	return pageToken("RUNNER_ADMIN_TOKEN", p.AdminToken, p.AdminTokenFile)
}

// Check returns what is wrong with the variables, or nil.
func (p *Page) Check() error {
	view, err := p.View()
	admin, err2 := p.Admin()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if view != "" && view == admin {
		return errors.New("RUNNER_VIEW_TOKEN and RUNNER_ADMIN_TOKEN are the same: whoever may read could act")
	}
	if strings.ContainsAny(p.UserHeader, " :\t,;()") {
		return errors.New("RUNNER_PROXY_USER_HEADER is not the name of a header, such as X-Forwarded-User")
	}
	return nil
}

func pageToken(name string, given auth.Secret, file string) (string, error) {
	token := given.Reveal()
	if file != "" {
		if token != "" {
			return "", fmt.Errorf("%[1]s and %[1]s_FILE are both set: unset one of them", name)
		}
		name += "_FILE"
		secret, _, err := auth.ReadSecret(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		token = secret.Reveal()
	}
	if token == "" {
		return "", nil
	}
	if len(token) < shortestToken {
		return "", fmt.Errorf("%s has fewer than %d characters, so it can be guessed: make one with openssl rand -hex 32", name, shortestToken)
	}
	return token, nil
}
