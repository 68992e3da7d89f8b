package jobs

import (
	"fmt"
	"net/mail"
	"path"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// A Share lets somebody into a folder of a guest collection. A rule that is there
// already is a success, and is changed if it says something else.
type Share struct {
	Collection  string // id
	Path        string // of a folder; begins and ends with a slash
	With        Principal
	Permissions string // r or rw; empty means r
	Expires     Expiry
	Notify      string // gets one e-mail from Globus when the rule is made; may be empty
	Message     string // is in that e-mail; may be empty
}

// A PrincipalKind is a way to say with whom something is shared.
type PrincipalKind string

// The kinds.
const (
	User      PrincipalKind = "user"                    // by the user name, which Globus Auth knows
	Identity  PrincipalKind = "identity"                // by the id of the user's identity
	Group     PrincipalKind = "group"                   // by the id of the group
	Everybody PrincipalKind = "all_authenticated_users" // who has logged in to Globus
)

// A Principal is with whom something is shared.
type Principal struct {
	Kind PrincipalKind
	Name string // user name or id; empty for everybody
}

// String names the principal in a sentence.
func (p Principal) String() string {
	if p.Kind == Everybody {
		return "everybody who is logged in to Globus"
	}
	return string(p.Kind) + " " + p.Name
}

var userPattern = pattern.Lazy(`^[^@\s,]+@[^@\s,]+$`)

// ParsePrincipal reads a user name or an id, according to the kind. For everybody
// the text does not matter.
func ParsePrincipal(kind PrincipalKind, text string) (Principal, error) {
	name := strings.ToLower(text)
	switch {
	case kind == Everybody:
		name = ""
	case kind == User && uuidPattern().MatchString(name):
		return Principal{}, fmt.Errorf("%q is an id, not a user name; give it as an identity or a group", short(text))
	case kind == User && (!userPattern().MatchString(name) || strings.ContainsFunc(name, invisible)):
		return Principal{}, fmt.Errorf("%q is not a user name such as alice@example.edu", short(text))
	case kind != User && !uuidPattern().MatchString(name):
		return Principal{}, fmt.Errorf("%q is not the id of %s (a UUID)", short(text), article(kind))
	}
	return Principal{kind, name}, nil
}

// article is the kind in a sentence.
func article(kind PrincipalKind) string {
	if kind == Identity {
		return "an identity"
	}
	return "a " + string(kind)
}

// An Expiry says when a share ends: some time after the instant that the occurrence
// is about, or at a fixed instant. The zero Expiry is never.
type Expiry struct {
	After time.Duration
	At    time.Time
}

// firstYear is the first one in which a share may end: that of the zero Time means
// never.
const firstYear = 1970

// shortestShare is the shortest life of a share.
const shortestShare = time.Minute

// ParseExpiry reads a duration such as 90d, a date, whose first moment in UTC is
// meant, or an instant.
func ParseExpiry(text string) (Expiry, error) {
	if at, err := ParseInstant(text); err == nil && at.Year() >= firstYear {
		return Expiry{At: at}, nil
	}
	after, err := ParseDuration(text)
	switch {
	case err != nil && durationPattern().MatchString(text):
		return Expiry{}, err
	case err != nil:
		return Expiry{}, fmt.Errorf("%q is neither a duration such as 90d nor a date such as 2027-01-31", short(text))
	case after < shortestShare:
		return Expiry{}, fmt.Errorf("%s is too short, want at least %s", text, FormatDuration(shortestShare))
	}
	return Expiry{After: after}, nil
}

// End returns when a share ends whose life begins at an instant: in UTC and whole
// seconds, or the zero Time for never.
func (e Expiry) End(begin time.Time) time.Time {
	switch {
	case !e.At.IsZero():
		return e.At.UTC().Truncate(time.Second)
	case e.After == 0:
		return time.Time{}
	}
	return begin.Add(e.After).UTC().Truncate(time.Second)
}

// String returns the expiry as [ParseExpiry] reads it, or never.
func (e Expiry) String() string {
	switch {
	case !e.At.IsZero():
		return e.At.UTC().Format(time.RFC3339)
	case e.After == 0:
		return "never"
	}
	return FormatDuration(e.After)
}

// ShareFolder returns the folder of a path as an access rule has it.
func ShareFolder(p string) string {
	if p == "" {
		return ""
	}
	return strings.TrimSuffix(path.Clean(p), "/") + "/"
}

// maxSharePath is the length of the longest path of an access rule, in bytes.
const maxSharePath = 2000

// check returns the first thing wrong with a share whose templates are resolved.
func (sh *Share) check() error {
	if err := checkPath(sh.Path); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(sh.Path, "/~"):
		return fmt.Errorf("path %q begins in a home folder, but an access rule is about a path from the root of the collection; write that one", short(sh.Path))
	case len(sh.Path) > maxSharePath:
		return fmt.Errorf("the path has %d bytes, at most %d are possible in an access rule", len(sh.Path), maxSharePath)
	case hasWildcard(sh.Path):
		return fmt.Errorf("path %q has a wildcard, which Globus takes literally here; share the folder above", short(sh.Path))
	}
	return nil
}

// CheckMail returns what is wrong with an address of mail.
func CheckMail(text string) error {
	if at, err := mail.ParseAddress(text); err != nil || at.Address != text {
		return fmt.Errorf("%q is not an address such as pi@example.edu", short(text))
	}
	return nil
}

// share reads what to share, and with whom.
func (s *source) share(n ast.Node, field string) *Share {
	sh := &Share{Permissions: "r"}
	var on *declared
	s.object(n, field, keys{
		"collection":  s.collection(&on),
		"path":        s.skip, // wants the collection, which may come later
		"with":        s.principal(&sh.With),
		"permissions": choice(s, &sh.Permissions, "r", "rw"),
		"expires":     parsed(s, &sh.Expires, "a duration such as 90d, or a date such as 2027-01-31", ParseExpiry),
		"notify": parsed(s, &sh.Notify, "an address such as pi@example.edu", func(text string) (string, error) {
			return text, CheckMail(text)
		}),
		"message": func(n ast.Node, field string) {
			if text, ok := s.text(n, field); ok {
				if _, ok := s.sample(n, field, text, 0); ok {
					sh.Message = text
				}
			}
		},
	})
	s.require(n, field, "collection", "say where")
	s.require(n, field, "path", "say what")
	s.require(n, field, "with", "say with whom, such as with: {user: alice@example.edu}")
	if s.has(field+".message") && !s.tried(field+".notify") {
		s.problemOf(field+".message", "the message goes to the address in notify; give one, or leave the message out")
	}
	if sh.With.Kind == Everybody && sh.Permissions == "rw" {
		s.warn(s.marks[field+".permissions"], field+".permissions", "everybody who can log in to Globus may then change and delete what is there; write r if reading is enough")
	}
	if at := field + ".expires"; !sh.Expires.At.IsZero() && sh.Expires.At.Before(time.Now()) {
		s.warn(s.marks[at], at, "%s is past, so the step would fail; write a later date, or a duration such as 90d", sh.Expires)
	}
	s.sharePath(sh, on, field+".path")
	if on != nil {
		sh.Collection = on.ID
	}
	return sh
}

// sharePath reads the path of a share.
func (s *source) sharePath(sh *Share, on *declared, field string) {
	n := s.marks[field]
	if n == nil {
		return
	}
	at, ok := s.pathOn(on, n, field)
	if !ok {
		return
	}
	sample := *sh
	sample.Path = ShareFolder(at.sample)
	if err := sample.check(); err != nil {
		s.problem(n, field, "%v", err)
	}
	sh.Path = strings.TrimSuffix(at.text, "/") + "/"
}

// principal reads with whom something is shared.
func (s *source) principal(to *Principal) decoder {
	return func(n ast.Node, field string) {
		if !mapping(n) {
			s.wrongType(n, field, "a mapping such as {user: alice@example.edu} or {group: UUID}")
			return
		}
		by := func(kind PrincipalKind) decoder {
			return parsed(s, to, "text, "+article(kind)+" in quotes", func(text string) (Principal, error) { return ParsePrincipal(kind, text) })
		}
		s.object(n, field, keys{
			string(User):     by(User),
			string(Identity): by(Identity),
			string(Group):    by(Group),
			string(Everybody): func(n ast.Node, field string) {
				if all, ok := s.boolean(n, field); ok && !all {
					s.problem(n, field, "false shares with nobody; write true, or a user, an identity or a group in its place")
				} else if ok {
					*to = Principal{Kind: Everybody}
				}
			},
		})
		s.exactlyOne(n, field, string(User), string(Identity), string(Group), string(Everybody))
	}
}
