package jobs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// MaxKey is the length of the longest key, in bytes: with the longest job name,
// 99 steps, 9999 parts and 99 attempts the label of a task has 128 characters.
const MaxKey = 60

// A key is part of a task's label and of a filter on labels, so it must hold no
// character that has a meaning there.
var keyPattern = pattern.Lazy(`^[A-Za-z0-9][-A-Za-z0-9._:+@]*$`)

// A Key tells one occurrence of a job from the others: a scheduled instant such
// as 2026-11-21T02:00:00Z, the run of a CI system such as github:123456789, or
// manual:<random>. Two starts with the same job and key are about the same
// occurrence, so that the second continues what the first began.
type Key string

// ScheduledKey is the key of the occurrence that was due at t.
func ScheduledKey(t time.Time) Key {
	return Key(t.UTC().Format(time.RFC3339))
}

// Due returns the scheduled instant that k stands for, or zero if it stands for
// something else.
func (k Key) Due() time.Time {
	t, err := time.Parse(time.RFC3339, string(k))
	if err != nil {
		return time.Time{}
	}
	return t
}

// ManualKey returns a new random key.
func ManualKey() Key {
	return Key("manual:" + strings.ToLower(rand.Text()[:12]))
}

// TriggerKey returns the key of the run that starts when somebody asks for the job:
// empty for a job that looks for items then.
func (j *Job) TriggerKey() Key {
	if j.ForEach != nil {
		return ""
	}
	return ManualKey()
}

// ParseKey checks a key that somebody chose. After "item:", the name of an item may stand
// as it is.
func ParseKey(s string) (Key, error) {
	if name, ok := strings.CutPrefix(s, itemPrefix); ok && name != "" {
		return chosenItem(name), nil
	}
	switch {
	case len(s) > MaxKey:
		return "", fmt.Errorf("occurrence %q has %d characters, at most %d are possible", s, len(s), MaxKey)
	case !keyPattern().MatchString(s):
		return "", fmt.Errorf("occurrence %q: want letters, digits and - . _ : + @, beginning with a letter or digit", s)
	}
	return Key(s), nil
}

// These guard against names that merely end in a number: no CronJob
// was scheduled before 2001 or will be after 2096, in minutes since 1970.
const cronJobFirst, cronJobLast = 16_300_000, 66_300_000

// KubernetesKey is the key of a Kubernetes Job. The name of a Job that a
// CronJob made ends in the scheduled minute since 1970 and gives that instant;
// any other name stands for itself, if need be
// shortened by a checksum.
func KubernetesKey(jobName string) (Key, error) {
	if i := strings.LastIndexByte(jobName, '-'); i > 0 {
		minute, err := strconv.ParseInt(jobName[i+1:], 10, 64)
		if err == nil && minute >= cronJobFirst && minute <= cronJobLast {
			return ScheduledKey(time.Unix(minute*60, 0)), nil
		}
	}
	key := "k8s:" + jobName
	if len(key) > MaxKey {
		sum := sha256.Sum256([]byte(jobName))
		key = key[:MaxKey-9] + "-" + hex.EncodeToString(sum[:4])
	}
	return ParseKey(key)
}

// A Position identifies a task within an occurrence.
type Position struct {
	Step int // of the job, from 1; 0 if the job has only one
	Part int // of a manifest that became several tasks, from 1; 0 if it did not
}

// Label is the label of the task that does attempt n (from 1) at a position of the
// occurrence. Where there is no ledger, Globus keeps the record under it.
func Label(job string, key Key, at Position, n int) string {
	label := job + " " + string(key)
	if at.Step > 0 {
		label += " s" + strconv.Itoa(at.Step)
	}
	if at.Part > 0 {
		label += " p" + strconv.Itoa(at.Part)
	}
	if n > 1 {
		label += " #" + strconv.Itoa(n)
	}
	return label
}

// maxRunLabel is how many characters Globus Flows takes for the label of a run.
const maxRunLabel = 64

// RunLabel is [Label] for a run of a flow. A longer one than Globus Flows takes is
// shortened by a checksum.
func RunLabel(job string, key Key, at Position, n int) string {
	label := Label(job, key, at, n)
	if len(label) > maxRunLabel { // it is ASCII
		sum := sha256.Sum256([]byte(label))
		label = label[:maxRunLabel-9] + "~" + hex.EncodeToString(sum[:4])
	}
	return label
}

// OfJob reports whether a task's label is one that [Label] gives to job.
func OfJob(label, job string) bool { return strings.HasPrefix(label, job+" ") }
