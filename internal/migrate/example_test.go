package migrate_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/globus-runner/globus-runner/internal/migrate"
)

func ExampleCrontab() {
	const crontab = `LAB=0b6c8f2e-0000-4000-8000-000000000001
VAULT=94ef1c3a-0000-4000-8000-000000000002
30 1 * * * globus transfer $LAB:/data/$(date -d yesterday +\%F)/ $VAULT:/raw/ -r --format json
`
	r, err := migrate.Crontab(strings.NewReader(crontab), now, migrate.Cron{Flags: flags}, migrate.Options{Name: "crontab", Zone: "America/Chicago"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, note := range r.Notes {
		fmt.Println(note.Error())
	}
	_, _ = os.Stdout.Write(r.File)
	// Output:
	// crontab:3: left out, it does not change what is moved: --format
	// # Made from crontab by runner import.
	// version: 1
	// collections:
	//   lab: 0b6c8f2e-0000-4000-8000-000000000001
	//   vault: 94ef1c3a-0000-4000-8000-000000000002
	// defaults:
	//   time_zone: America/Chicago
	// jobs:
	//   # crontab:3
	//   # left out, it does not change what is moved: --format
	//   transfer-data:
	//     schedule: '30 1 * * *'
	//     transfer:
	//       source: 'lab:/data/{{ .Time | add "-1d" | date }}/'
	//       destination: vault:/raw/
	//       recursive: true
}
