package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// A cliCommand is a command of globus-cli that has another name here, or none.
type cliCommand struct {
	words string // without the name of the program; a group stands for its commands
	here  string // the command here; empty if there is none
	why   string // why there is none
}

// cliCommands are the commands of globus-cli that are not commands here, as in
// docs/globus-cli.md. The first match counts.
func cliCommands() []cliCommand {
	const (
		onePurpose = "the program asks for the scopes of Transfer and Auth alone"
		servers    = "collections and their servers are managed with globus-cli"
		flows      = "flows are managed with globus-cli, and their runs at https://app.globus.org/runs"
		other      = "it is about another service"
	)
	return []cliCommand{
		{"api flows", "", onePurpose},
		{"api gcs", "", onePurpose},
		{"api groups", "", onePurpose},
		{"api search", "", onePurpose},
		{"api timer", "", onePurpose},
		{"auth scope show", "runner api auth GET /v2/api/scopes --query-param ids=ID", ""},
		{"cli-profile-list", "", "one login is kept for each native app"},
		{"collection show", "runner endpoint show", ""},
		{"collection role list", "runner endpoint role list", ""},
		{"collection role show", "runner endpoint role list", ""},
		{"collection", "", servers},
		{"endpoint permission create", "runner share", ""},
		{"endpoint permission update", "runner share", ""},
		{"endpoint permission show", "runner endpoint permission list", ""},
		{"endpoint role show", "runner endpoint role list", ""},
		{"endpoint role create", "runner api transfer POST /endpoint/ID/role --body", ""},
		{"endpoint role delete", "runner api transfer DELETE /endpoint/ID/role/ROLE", ""},
		{"endpoint my-shared-endpoint-list", "runner api transfer GET /endpoint/ID/my_shared_endpoint_list", ""},
		{"endpoint activate", "", "Globus does not activate endpoints any more"},
		{"endpoint deactivate", "", "Globus does not activate endpoints any more"},
		{"endpoint is-activated", "", "Globus does not activate endpoints any more"},
		{"endpoint local-id", "", "it reads a file of a Globus Connect Personal on the same machine"},
		{"endpoint create", "", servers},
		{"endpoint update", "", servers},
		{"endpoint delete", "", servers},
		{"endpoint server", "", servers},
		{"endpoint set-subscription-id", "", servers},
		{"endpoint storage-gateway", "", servers},
		{"endpoint user-credential", "", servers},
		{"flows start", "runner run", ""},
		{"flows run resume", "runner run", ""},
		{"flows run cancel", "runner runs cancel", ""},
		{"flows run show-definition", "", flows},
		{"flows run show", "runner runs show", ""},
		{"flows run show-logs", "runner runs show", ""},
		{"flows run list", "runner runs show", ""},
		{"flows", "", flows},
		{"gcp", "", servers},
		{"gcs", "", servers},
		{"group", "", other},
		{"search", "", other},
		{"streams", "", other},
		{"list-commands", "runner --help", ""},
		{"session show", "runner whoami", ""},
		{"session consent", "runner login --scopes", ""},
		{"session update", "runner login --session-required-identities", ""},
		{"timer create", "runner import timers", ""},
		{"update", "", "the program is installed as an image or a binary"},
	}
}

// answerCommand says what a command of globus-cli is here. The command is c with the words
// after it. If globus-cli has no such command, the answer is empty.
func answerCommand(c *cobra.Command, args []string) string {
	_, path, _ := strings.Cut(c.CommandPath(), " ")
	line := strings.TrimLeft(path+" "+strings.Join(args, " "), " ") + " "
	all := cliCommands()
	i := slices.IndexFunc(all, func(f cliCommand) bool { return strings.HasPrefix(line, f.words+" ") })
	switch {
	case i >= 0 && all[i].here != "":
		return "globus " + all[i].words + " is " + all[i].here + " here"
	case i >= 0:
		return "globus " + all[i].words + " has no match here: " + all[i].why
	}
	// A group of which each command has another name, such as session.
	var below []string
	for _, f := range all {
		if f.here != "" && strings.HasPrefix(f.words+" ", line) {
			below = append(below, "globus "+f.words+" is "+f.here)
		}
	}
	return strings.Join(below, ", ")
}

// answerFlag says what to write instead of a flag of globus-cli that the command c does not
// have. For any other flag it is empty.
func answerFlag(c *cobra.Command, name string) string {
	switch c.Name() + " --" + name {
	case "logout --ignore-errors":
		return "write --force"
	case "login --no-local-server":
		return "write --no-browser"
	case "login --flow", "login --gcs", "login --timer":
		return "write --scopes with the scope that is wanted"
	case "share --identity":
		return "write --with-user or --with-identity"
	case "share --group":
		return "write --with-group"
	case "share --expiration-date":
		return "write --expires"
	case "share --anonymous":
		return "access without a login is given with globus-cli"
	}
	switch name {
	case "skip-activation-check":
		return "Globus does not activate endpoints any more; leave it out"
	case "perf-cc", "perf-p", "perf-pp", "perf-udt":
		return "Globus chooses how it copies; leave it out"
	case "yes", "star-silent":
		return "nothing is asked here; leave it out"
	case "allow-errors":
		return "an error ends the command, with a status that --map-http-status chooses"
	}
	return ""
}
