package jobs

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Due returns when the occurrence of the job that is scheduled at t may start:
// after a delay in [0, Jitter), in whole milliseconds, which is always the same
// for the same name of the job and the same key.
func (j *Job) Due(key Key, t time.Time) time.Time {
	if j.Jitter <= 0 {
		return t
	}
	sum := sha256.Sum256([]byte(j.Name + " " + string(key)))
	delay := time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(j.Jitter))
	return t.Add(delay.Truncate(time.Millisecond))
}
