package fault

import "strings"

// A Trouble is what the code of a task's error event means.
type Trouble struct {
	// Lasting says that Globus retries until the task's deadline, although
	// only a change of paths, permissions or storage helps.
	Lasting bool
	Kind    Kind   // of a task that FAILED because of it
	Next    string // the next step; empty if there is nothing to say
}

// OfTask returns what the code of a task's error event means. INACTIVE and
// PAUSED mean a task that is held. An unknown code is taken for one that Globus
// overcomes by itself.
func OfTask(code string) Trouble {
	lasting := func(next string) Trouble { return Trouble{true, Refused, next} }
	server := func(next string) Trouble { return Trouble{false, Refused, next} }
	held := func(next string) Trouble { return Trouble{false, NeedsHuman, next} }
	passing := func(next string) Trouble { return Trouble{false, Failed, next} }
	switch code {
	case "FILE_NOT_FOUND":
		return lasting("check that the path exists, and that it is spelled as on the collection")
	case "PERMISSION_DENIED":
		return lasting("ask the collection's owner for access to the path for this account, whose name runner whoami shows")
	case "AMBIGUOUS_PATH":
		return lasting("rename one of the two files or folders that have this name on the collection")
	case "NO_SPACE_LEFT":
		return lasting("free space on the destination, or ask for a larger quota")
	case "EXTERNAL_CHECKSUM_MISMATCH":
		return lasting("find out whether the file or the checksum in the batch is wrong")
	case "IS_A_DIRECTORY", "NOT_A_FILE":
		return lasting("a folder is where a file was expected: name the destination of a file with its file name, and transfer a folder as a folder (recursive)")
	case "NOT_A_DIRECTORY", "IS_A_FILE":
		return lasting("a file is where a folder was expected: rename it, or name another path; transfer a file as a file (not recursive)")
	case "NOT_A_SYMLINK", "INVALID_SYMLINK":
		return lasting("correct the symbolic link on the source, or leave out links with recursive_symlinks: ignore")
	case "INVALID_PATH_NAME":
		return lasting("rename the file or folder: the collection does not accept this name")
	case "DIRECTORY_NOT_EMPTY":
		return lasting("delete the folder as a folder (recursive)")
	case "LIMIT_EXCEEDED":
		return lasting("split the folder or the task: it is larger than the service or the collection allows")
	case "AUTH", "NO_CREDENTIALS", "INVALID_SERVICE_CREDENTIAL", "GSI_DN_MISMATCH", "CLOCK", "CREDENTIALS_EXPIRED":
		return server("tell the collection's owner that credentials, a certificate or the clock of its server is wrong")
	case "NO_PHYSICALS":
		return server("tell the collection's owner that no server is behind the collection")
	case "ACL_CHANGED":
		return server("ask the collection's owner whether access to the path was withdrawn")
	case "PAUSED":
		return held("ask the collection's manager to resume it")
	case "INACTIVE":
		return held("renew the credentials or the consent that it needs (runner doctor says which, --fix gives a consent)")
	case "GC_NOT_CONNECTED", "GC_PAUSED":
		return passing(StartPersonal)
	case "VERIFY_CHECKSUM", "FILE_SIZE_CHANGED":
		return passing("run again when nothing writes to the file any more")
	}
	if strings.Contains(code, "QUOTA") {
		return lasting("free space on the destination, or ask for a larger quota")
	}
	return passing("")
}
