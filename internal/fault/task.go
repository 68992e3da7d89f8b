package fault

import "strings"

// Lasting reports whether an error event of this code stays until somebody
// changes the paths or the permissions.
func Lasting(code string) bool {
	switch code {
	case "FILE_NOT_FOUND", "PERMISSION_DENIED", "AMBIGUOUS_PATH":
		return true
	}
	return strings.Contains(code, "QUOTA")
}

// Remedy is the next step for an error event that does not pass by itself.
func Remedy(code string) string {
	switch {
	case code == "FILE_NOT_FOUND":
		return "check that the path exists, and that it is spelled as on the collection"
	case code == "PERMISSION_DENIED":
		return "ask the collection's owner for access to the path; runner doctor has the sentence to send"
	case strings.Contains(code, "QUOTA"):
		return "free space on the destination, or ask for a larger quota"
	}
	return "mend the cause and start again"
}
