package jobs

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxKey is the length of the longest key, in bytes: with the longest job name
// and thousands of attempts the label of a task still has 128 characters.
const MaxKey = 69

// A key is part of a task's label and of a filter on labels, so it must hold no
// character that has a meaning there.
var keyPattern = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9._:+@]*$`)

// A Key tells one occurrence of a job from the others: a scheduled instant such
// as 2026-11-21T02:00:00Z, the run of a CI system such as github:123456789, or
// manual:<random>. Two starts with the same job and key are about the same
// occurrence, so that the second continues what the first began.
type Key string

// ScheduledKey is the key of the occurrence that was due at t.
func ScheduledKey(t time.Time) Key {
	return Key(t.UTC().Format(time.RFC3339))
}

// ManualKey returns a key that nobody has used before.
func ManualKey() Key {
	return Key("manual:" + strings.ToLower(rand.Text()[:12]))
}

// ParseKey checks a key that somebody chose.
func ParseKey(s string) (Key, error) {
	switch {
	case len(s) > MaxKey:
		return "", fmt.Errorf("occurrence %q has %d characters, at most %d are possible", s, len(s), MaxKey)
	case !keyPattern.MatchString(s):
		return "", fmt.Errorf("occurrence %q: want letters, digits and - . _ : + @, beginning with a letter or digit", s)
	}
	return Key(s), nil
}

// These guard against names that merely end in a number: no CronJob
// was scheduled before 2001 or will be after 2096, in minutes since 1970.
const cronJobFirst, cronJobLast = 16_300_000, 66_300_000

// KubernetesKey is the key of a Kubernetes Job. The name of a Job that a
// CronJob made ends in the scheduled minute since 1970 and gives that instant;
// any other name stands for itself.
func KubernetesKey(jobName string) (Key, error) {
	if i := strings.LastIndexByte(jobName, '-'); i > 0 {
		minute, err := strconv.ParseInt(jobName[i+1:], 10, 64)
		if err == nil && minute >= cronJobFirst && minute <= cronJobLast {
			return ScheduledKey(time.Unix(minute*60, 0)), nil
		}
	}
	return ParseKey("k8s:" + jobName)
}

// Label is the label of the task that does attempt n (from 1) of the
// occurrence. Where there is no ledger, Globus keeps the record under it.
func Label(job string, key Key, n int) string {
	label := job + " " + string(key)
	if n > 1 {
		label += " #" + strconv.Itoa(n)
	}
	return label
}

// OfJob reports whether a task's label is one that [Label] gives to job.
func OfJob(label, job string) bool { return strings.HasPrefix(label, job+" ") }
