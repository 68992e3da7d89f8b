// Package scratch gives tests a fast place for temporary files. A ledger waits
// for the disk at each change, which takes most of the time of its tests and
// shows nothing that they ask for.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

const (
	memory = "/dev/shm" // the folder of Linux that is kept in memory
	room   = 1 << 30    // bytes that must be free there; containers often have 64 MiB
)

// Run runs the tests of a package with temporary files in memory, or where they
// always are if there is no room. It returns the exit status.
func Run(m *testing.M) int {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(memory, &disk); err != nil || disk.Bavail*uint64(disk.Bsize) < room {
		return m.Run()
	}
	dir, err := os.MkdirTemp(memory, "test-")
	if err != nil {
		return m.Run()
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "scratch:", err)
		}
	}()
	// Database servers do not run as root, and must get in.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Setenv("TMPDIR", dir)); err != nil {
		fmt.Fprintln(os.Stderr, "scratch:", err)
		return 1
	}
	return m.Run()
}
