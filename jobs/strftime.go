package jobs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftimeLayouts are the conversions that package time knows, in English.
var strftimeLayouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'b': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'j': "002",
	'a': "Mon", 'A': "Monday", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'z': "-0700", 'Z': "MST",
}

// commonConversions are those that messages name.
const commonConversions = "common are %Y %m %d %H %M %S %j %F %V"

// strftime writes t as the function of C does in the C locale. A conversion
// that it does not know is an error, and so is a format that has none: it was
// written for another program.
func strftime(format string, t time.Time) (string, error) {
	if !strings.Contains(format, "%") {
		return "", fmt.Errorf("strftime %q has nothing of the time in it; %s", short(format), commonConversions)
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		if i == len(format) {
			return "", fmt.Errorf("strftime %q ends in %%, write %%%% for a per cent sign", short(format))
		}
		year, week := t.ISOWeek()
		switch c := format[i]; c {
		case '%':
			b.WriteByte('%')
		case 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case 'u':
			b.WriteString(strconv.Itoa((int(t.Weekday())+6)%7 + 1))
		case 'w':
			b.WriteString(strconv.Itoa(int(t.Weekday())))
		case 'G':
			fmt.Fprintf(&b, "%04d", year)
		case 'V':
			fmt.Fprintf(&b, "%02d", week)
		default:
			layout, ok := strftimeLayouts[c]
			if !ok {
				return "", fmt.Errorf("strftime does not know %%%c; %s", c, commonConversions)
			}
			b.WriteString(t.Format(layout))
		}
	}
	return b.String(), nil
}
