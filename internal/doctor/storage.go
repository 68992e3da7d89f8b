package doctor

import "slices"

// Storage judges the kind of file system that a SQLite ledger is on. chosen
// says that somebody chose the place, and not a default.
func Storage(kind string, chosen bool) Finding {
	network := []string{"nfs", "smb", "cifs", "afs", "9p", "lustre", "gpfs", "beegfs", "ceph", "fuse"}
	switch {
	case slices.Contains(network, kind):
		return Doubt("on "+kind+", which other machines may share",
			"let one process on one machine use it, and make sure that its locks work (NFS 4 has them); for several replicas set RUNNER_STATE=postgres://...")
	case chosen:
	case kind == "tmpfs":
		return Doubt("on tmpfs, which is empty after a restart of the machine", "name a permanent file with RUNNER_STATE=sqlite:<file>")
	case kind == "overlay":
		return Doubt("on the container's own file system, which is lost with the container", "mount a volume, and name a file on it with RUNNER_STATE=sqlite:<file>")
	}
	if kind == "" {
		return Good("on a file system of an unknown kind")
	}
	return Good("on " + kind)
}
