package main

import "syscall"

// fileSystem names the kind of file system that a file is on; empty if it is
// not known.
func fileSystem(file string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(file, &s) != nil {
		return ""
	}
	return fileSystems()[uint32(s.Type)]
}

// fileSystems are the kinds by the numbers that Linux has for them.
func fileSystems() map[uint32]string {
	return map[uint32]string{
		0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0xf2f52010: "f2fs", 0xca451a4e: "bcachefs",
		0x01021994: "tmpfs", 0x858458f6: "tmpfs", 0x794c7630: "overlay",
		0x6969: "nfs", 0x517b: "smb", 0xfe534d42: "smb", 0xff534d42: "cifs", 0x5346414f: "afs", 0x01021997: "9p",
		0x0bd00bd0: "lustre", 0x47504653: "gpfs", 0x19830326: "beegfs", 0x00c36400: "ceph", 0x65735546: "fuse",
	}
}
