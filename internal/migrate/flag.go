package migrate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/transfer"
)

// addCLIFlags adds the flags that only globus-cli has.
func addCLIFlags(flags *pflag.FlagSet, command string) {
	var texts, switches []string
	switch command {
	case "delete", "rm":
		switches = []string{"star-silent", "unsafe", "no-enable-globs", "heartbeat"}
		texts = []string{"polling-interval", "timeout-exit-code"}
	case "timer create transfer":
		texts = []string{"start", "interval", "name", "stop-after-date", "stop-after-runs"}
	}
	texts = append(texts, "jmespath", "jq", "map-http-status", "perf-cc", "perf-p", "perf-pp")
	switches = append(switches, "quiet", "debug", "show-server-timing", "skip-activation-check", "no-recursive", "perf-udt")
	for _, name := range texts {
		if flags.Lookup(name) == nil {
			flags.String(name, "", "")
		}
	}
	for _, name := range switches {
		if flags.Lookup(name) == nil {
			flags.Bool(name, false, "")
		}
	}
	if flags.Lookup("format") == nil {
		flags.StringP("format", "F", "", "")
	}
	if flags.Lookup("verbose") == nil {
		flags.CountP("verbose", "v", "")
	}
}

// flag translates a flag of a call, or refuses it.
func (k *call) flag(name, value string) {
	if isTemplate(value) && !slices.Contains([]string{"label", "name", "batch", "deadline"}, name) {
		k.problem("--%s: %s can only be used in a path", name, value)
		return
	}
	if key := switchKey(name); key != "" {
		if value == "true" {
			k.option(key, true)
		}
		return
	}
	switch name {
	case "label", "name":
		text := strings.Join(strings.Fields(templatePattern().ReplaceAllString(value, "")), " ")
		if text = strings.Trim(text, " -_:/"); name == "label" || k.label == "" {
			k.label = text
		}
	case "recursive":
		k.recursive = value
	case "no-recursive":
		k.recursive = "false"
	case "sync-level":
		level, err := transfer.ParseSyncLevel(strings.ToLower(value))
		if err != nil {
			k.problem("%v", err)
			return
		}
		k.option("sync_level", level.String())
	case "verify-checksum", "no-verify-checksum":
		k.verify(name, value)
	case "external-checksum", "checksum-algorithm":
		k.item = with(k.item, strings.ReplaceAll(name, "-", "_"), value)
	case "include", "exclude":
		k.rules = append(k.rules, []field{{"method", name}, {"type", "file"}, {"name", value}})
	case "source-local-user", "destination-local-user", "local-user":
		k.option(strings.ReplaceAll(name, "-", "_"), value)
	case "no-enable-globs":
		k.globs = false
	case "enable-globs":
		k.globs = value == "true"
	case "batch":
		k.batch = value
	case "notify":
		k.notify(value)
	case "dry-run":
		k.dryRun = value == "true"
	case "start", "interval", "stop-after-date", "stop-after-runs":
		k.timer.set(name, value)
	default:
		k.policyFlag(name, value)
	}
}

// policyFlag translates a flag that only this program has, or passes it on.
func (k *call) policyFlag(name, value string) {
	switch name {
	case "allow-skipped":
		k.policies = with(k.policies, "allow_skipped", value == "true")
	case "allow-empty-source":
		if value == "true" {
			k.policies = withGuard(k.policies, "empty_source", "allow")
		}
	case "max-delete":
		k.policies = withGuard(k.policies, "max_delete", value)
	case "look":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			k.problem("--look %s: want a number from 1 on", value)
			return
		}
		k.policies = withGuard(k.policies, "look", n)
	default:
		k.otherFlag("--" + name)
	}
}

// switchKey returns the key for a flag without a value.
func switchKey(name string) string {
	switch name {
	case "preserve-timestamp", "preserve-mtime":
		return "preserve_timestamp"
	case "encrypt-data", "encrypt":
		return "encrypt_data"
	case "delete", "delete-destination-extra":
		return "delete_destination_extra"
	case "skip-source-errors", "fail-on-quota-errors", "ignore-missing":
		return strings.ReplaceAll(name, "-", "_")
	}
	return ""
}

// otherFlag ignores a flag that does not change what is moved, or refuses it.
func (k *call) otherFlag(flag string) {
	switch flag {
	case "--format", "--jmespath", "--jq", "--map-http-status", "--verbose", "--quiet", "--debug", "--show-server-timing",
		"--skip-activation-check", "--star-silent", "--unsafe",
		"--timeout", "--polling-interval", "--heartbeat", "--timeout-exit-code", "--no-wait", "--on-interrupt", "--skip-ok":
		k.drop(flag)
	case "--deadline":
		k.problem("--deadline: a job has active_deadline, such as 12h, which counts from the start of each task; leave it out and set that")
	case "--submission-id":
		k.problem("--submission-id: with a fixed id Globus does the same task only once; leave it out, each run of a job has its own")
	default:
		k.problem("%s: a jobs file has no equivalent", flag)
	}
}

// option sets a key of the document.
func (k *call) option(key string, value any) { k.options = with(k.options, key, value) }

// with sets a key, and replaces an earlier value.
func with(fields []field, key string, value any) []field {
	for i := range fields {
		if fields[i].key == key {
			fields[i].value = value
			return fields
		}
	}
	return append(fields, field{key, value})
}

// withGuard sets a key of the guard.
func withGuard(policies []field, key string, value any) []field {
	var guard []field
	for _, p := range policies {
		if p.key == "guard" {
			guard = p.value.([]field)
		}
	}
	return with(policies, "guard", with(guard, key, value))
}

// verify translates the two flags about checksums, which are compared by default.
func (k *call) verify(name, value string) {
	if off := (name == "no-verify-checksum") == (value == "true"); off {
		k.option("verify_checksum", false)
	}
}

// notify translates --notify. The default is off, because a service account has
// no mailbox.
func (k *call) notify(value string) {
	for word := range strings.SplitSeq(strings.ToLower(value), ",") {
		switch word = strings.TrimSpace(word); word {
		case "off", "":
		case "on":
			for _, event := range []string{"succeeded", "failed", "inactive"} {
				k.option("notify_on_"+event, true)
			}
		case "succeeded", "failed", "inactive":
			k.option("notify_on_"+word, true)
		default:
			k.problem("--notify: %q is not on, off, succeeded, failed or inactive", value)
		}
	}
}
