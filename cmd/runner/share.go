package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/internal/plain"
	"github.com/globus-runner/globus-runner/internal/sharing"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const aboutShare = `Let somebody into a folder of a guest collection.

If the same user or group has an access rule for the folder already, that is a
success, and the rule is changed if its permissions or its end are others. A
duration in --expires is counted from now. Without --expires, a rule that is there
keeps its end, and a new one has none.

The identity in use needs the role access manager on the collection.`

// A shareCall is the flags of "runner share".
type shareCall struct {
	user, identity, group string
	everybody             bool
	share                 jobs.Share
	expires               string
	keepEnd               bool // of a rule that is there
	dryRun                bool
}

func (a *app) shareCommand() *cobra.Command {
	var call shareCall
	c := &cobra.Command{
		Use:   "share COLLECTION:PATH",
		Short: "Let somebody into a folder of a guest collection",
		Long:  aboutShare,
		Example: `  runner share $VAULT:/results/ --with-user ada@example.edu --expires 90d
  runner share $VAULT:/public/ --all-authenticated`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := call.read(a, args[0]); err != nil {
				return err
			}
			if call.dryRun {
				return a.print(shareDocument(&call.share), func(w io.Writer) { newPlannedShare(&call.share).show(w, nil) })
			}
			return call.do(c.Context(), a)
		},
	}
	flags := c.Flags()
	flags.StringVar(&call.user, "with-user", "", "user name, such as ada@example.edu")
	flags.StringVar(&call.identity, "with-identity", "", "id of the identity of a user or a service account")
	flags.StringVar(&call.group, "with-group", "", "id of a Globus group")
	flags.BoolVar(&call.everybody, "all-authenticated", false, "everybody who is logged in to Globus")
	call.share.Permissions = "r"
	flags.Var(oneOf(&call.share.Permissions, "r|rw", "r", "rw"), "permissions", "read, or read and write")
	flags.StringVar(&call.expires, "expires", "", "when the access ends: a duration such as 90d, a date, an instant, or never")
	flags.StringVar(&call.share.Notify, "notify-email", "", "address to which Globus writes when it makes the rule")
	flags.StringVar(&call.share.Message, "message", "", "text in that e-mail")
	flags.BoolVar(&call.dryRun, "dry-run", false, "print what would be shared, and change nothing")
	return c
}

// read reads where and with whom to share.
func (call *shareCall) read(a *app, arg string) error {
	at, err := a.locationWithPath(arg)
	if err != nil {
		return err
	}
	sh := &call.share
	sh.Collection, sh.Path = at.Collection, jobs.ShareFolder(at.Path)
	if sh.With, err = call.principal(); err != nil {
		return usageError{err}
	}
	const never = "never"
	if call.keepEnd = call.expires == ""; !call.keepEnd && call.expires != never {
		if sh.Expires, err = jobs.ParseExpiry(call.expires); err != nil {
			return usageError{fmt.Errorf("--expires: %w", err)}
		}
	}
	if sh.Notify != "" {
		if err := jobs.CheckMail(sh.Notify); err != nil {
			return usageError{fmt.Errorf("--notify-email: %w", err)}
		}
	}
	if sh.Message != "" && sh.Notify == "" {
		return usageError{errors.New("--message is the text of an e-mail, which needs --notify-email")}
	}
	return usage((&jobs.Step{Share: sh}).Check())
}

// principal reads with whom to share.
func (call *shareCall) principal() (with jobs.Principal, err error) {
	given := 0
	for _, flag := range []struct {
		name  string
		kind  jobs.PrincipalKind
		value string
		set   bool
	}{
		{"--with-user", jobs.User, call.user, call.user != ""},
		{"--with-identity", jobs.Identity, call.identity, call.identity != ""},
		{"--with-group", jobs.Group, call.group, call.group != ""},
		{"--all-authenticated", jobs.Everybody, "", call.everybody},
	} {
		if !flag.set {
			continue
		}
		given++
		if with, err = jobs.ParsePrincipal(flag.kind, flag.value); err != nil {
			return with, fmt.Errorf("%s: %w", flag.name, err)
		}
	}
	if given != 1 {
		return with, errors.New("exactly one of --with-user, --with-identity, --with-group and --all-authenticated is needed")
	}
	return with, nil
}

// shareDocument is a share in a dry run.
func shareDocument(sh *jobs.Share) any {
	return struct {
		DataType string `json:"DATA_TYPE"`
		*plannedShare
	}{"share", newPlannedShare(sh)}
}

// do shares, and prints the rule.
func (call *shareCall) do(ctx context.Context, a *app) error {
	globus, err := a.connect(wiring{acts: true})
	if err != nil {
		return err
	}
	s := sharing.Sharer{Globus: globus.transfer, User: auth.IDOf(globus.account.Identities), Who: globus.who.String(), KeepEnd: call.keepEnd}
	rule, err := s.Give(ctx, &call.share, time.Now())
	if err != nil {
		return err
	}
	return a.print(rule, func(w io.Writer) { fmt.Fprintln(w, plain.Line(rule.String())) })
}

// parseRuleID reads the id of an access rule, which may be a number.
func parseRuleID(text string) (transfer.ID, error) {
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		return transfer.ID(text), nil
	}
	id, err := parseUUID("rule id", text)
	return transfer.ID(id), err
}

// permissionDelete takes an access rule back.
func (a *app) permissionDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete COLLECTION RULE",
		Short: "Take an access rule of a guest collection back",
		Args:  arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			on, err := a.collection(args[0])
			if err != nil {
				return err
			}
			rule, err := parseRuleID(args[1])
			if err != nil {
				return err
			}
			return a.change(c.Context(), func(ctx context.Context, globus *transfer.Client) (*transfer.Result, error) {
				return globus.DeleteAccessRule(ctx, on.ID, rule)
			})
		},
	}
}
