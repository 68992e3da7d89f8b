package transfer

import "strings"

// replyEnds turns each form of line end in a collection's reply into \n.
var replyEnds = strings.NewReplacer("%0D%0A", "\n", `\r\n`, "\n", "\r\n", "\n")

// Reason sums up in one line what Globus says about an error in many: the path, the
// collection, and what the collection answered, such as "/in/a on lab: Path not
// allowed". It understands [Event.Details], [SkippedError.ErrorDetails] and
// [Error.Message] about GridFTP; any other text is returned as it is. Control
// characters are not removed.
func Reason(text string) string {
	var file, collection, message, why string
	said := false // by an Error-String, which is written for people
	for line := range strings.Lines(replyEnds.Replace(text)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "Details: ")
		if reply, ok := replyLine(line); ok {
			answer, best := strings.CutPrefix(reply, "GridFTP-Error-String: ")
			for _, before := range []string{"GridFTP-Error: ", "globus_xio: ", "Command failed : "} {
				answer = strings.TrimPrefix(answer, before)
			}
			if isReason(answer) && (best || !said) {
				why, said = answer, best
			}
			continue
		}
		switch key, value, _ := strings.Cut(line, ": "); key {
		case "File":
			file = value
		case "Message":
			if isReason(value) {
				message = value
			}
		case "Endpoint":
			collection = value
			if i := strings.LastIndex(value, " ("); i > 0 { // before the id
				collection = value[:i]
			}
		}
	}
	if why == "" && file+collection != "" {
		why = message
	}
	if why == "" {
		return text
	}
	at := file
	if file != "" && collection != "" {
		at += " on "
	}
	if at += collection; at != "" {
		at += ": "
	}
	return at + strings.TrimSuffix(why, ".")
}

// replyLine returns the text of a line of an FTP reply, which begins with a number.
func replyLine(line string) (string, bool) {
	if len(line) < 5 || line[3] != '-' && line[3] != ' ' {
		return "", false
	}
	for _, digit := range []byte(line[:3]) {
		if digit < '0' || digit > '9' {
			return "", false
		}
	}
	return line[4:], true
}

// isReason reports whether a text says why, in words.
func isReason(text string) bool {
	for _, other := range []string{"End.", "GlobusError: ", "GridFTP-Errno: ", "GridFTP-Path: ", "GridFTP-Message: ", "Fatal FTP "} {
		if strings.HasPrefix(text, other) {
			return false
		}
	}
	return strings.Trim(text, ". ") != ""
}
