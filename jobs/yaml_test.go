package jobs_test

import (
	"strings"
	"testing"

	"github.com/globus-runner/globus-runner/jobs"
)

// Each text is put below head; the problem is at a line and column of the
// whole.
func TestProblemsNameTheirPlaceAndWhatIsRight(t *testing.T) {
	const action = "transfer: {source: 'lab:/a/', destination: 'vault:b/'}"
	job := func(lines string) string { return head + "jobs:\n  a:\n    " + action + "\n    " + lines + "\n" }
	tests := map[string]struct{ text, want string }{
		"empty file":               {"", "1:1: the file is empty, begin with version: 1"},
		"only a comment":           {"# nothing\n", "1:1: the file is empty"},
		"a list":                   {"- version: 1\n", "1:1: got a list, want a mapping"},
		"two documents":            {job("") + "---\nversion: 1\n", "10:1: a second document begins here"},
		"a tab":                    {"version: 1\njobs:\n\ta: {}\n", "3:1: a tab in the indentation, want blanks"},
		"a tab in a plain text":    {job("description: a\tb"), "8:18: a tab in a text, want a blank; a tab that belongs to the text is \\t in double quotes"},
		"a tab in a schedule":      {job("schedule: 30\t2 * * 1"), "8:15: a tab in a text"},
		"a tab in a number":        {job("backoff_limit: 1\t0"), "8:20: a tab in a text"},
		"a tab in quotes":          {job("schedule: \"30\t2 * * *\"\n    suspend: true"), "8:15: a tab in a text"},
		"a tab in braces":          {head + "jobs: {\ta: {" + action + "}}\n", "5:9: a tab before a key, want a blank"},
		"an open quote":            {job(`description: "x`), "8:18: the quote that begins here is not closed in this line"},
		"an open single quote":     {job("description: 'x"), "8:18: the quote that begins here is not closed in this line"},
		"a quote closed too late":  {job("description: \"x\n    time_zone: \"UTC\""), "8:18: the quote that begins here is not closed in this line"},
		"an error before a quote":  {job("description: it is: odd\n    time_zone: \"U\n      TC\""), "8:18: a text with a colon and a blank in it needs quotes"},
		"no UTF-8":                 {job("description: \xff"), "8:18: the text is not UTF-8"},
		"control character":        {job("description: a\x01b"), "8:19: there is a control character here (U+0001)"},
		"open list":                {head + "jobs: [", "5:7: the [ in this line is not closed"},
		"open mapping":             {head + "jobs:\n  a:\n    transfer: {source: x\n", "the { in this line is not closed"},
		"a colon in a text":        {job("description: it is: odd"), "8:18: a text with a colon and a blank in it needs quotes"},
		"a mapping that goes on":   {head + "jobs:\n  a:\n    transfer: {source: x\n    jitter: 1m\n", "8:5: a comma or } is missing before this, or the { above is not closed"},
		"a list that goes on":      {head + "jobs:\n  a:\n    transfer: [x\n    jitter: 1m\n", "[ above is not closed"},
		"a column to the left":     {head + "jobs:\n  a:\n    jitter: 1m\n   " + action, "8:4: this line begins in column 4, which fits no key above; its neighbors begin in column 5"},
		"a column to the right":    {job(" jitter: 1m"), "8:6: this line begins in column 6, deeper than the key above it, which has a value already; its neighbors begin in column 5"},
		"two columns to the right": {job("  jitter: 1m\n    suspend: true"), "8:7: this line begins in column 7, deeper than the key above it"},
		"in a list":                {head + "jobs:\n  a:\n    steps:\n      - " + action + "\n     - prune: {}\n", "9:6: this line begins in column 6, which fits no key above; its neighbors begin in column 7"},
		"behind a text":            {head + "jobs:\n  a:\n    labels:\n      x: |\n         a: 1\n        b: 2\n    # b\n     jitter: {\n a: b\n }\n", "12:6: this line begins in column 6"},
		"anchor":                   {job("jitter: &x 1m"), "8:13: anchors are not possible"},
		"cron without quotes":      {job("schedule: * * * * *"), "8:15: a text that begins with * needs quotes, since YAML has another meaning for it: write \"* * * * *\""},
		"steps, no quotes":         {job("schedule: */5 * * * 1-5 # often"), `write "*/5 * * * 1-5"`},
		"cron in braces":           {head + "jobs: {a: {schedule: * 2 * * *, delete: {collection: lab, paths: [/x]}}}", `write "* 2 * * *"`},
		"an alias":                 {job("description: *x"), "8:18: aliases are not possible"},
		"descriptor":               {job("schedule: @daily"), `'@' is a reserved character; a text that begins with it needs quotes: write "@daily"`},
		"template":                 {job("description: {{ .Job }}x"), "a text that begins with {{ needs quotes"},
		"merge key":                {job("<<: {}"), "8:5: merge keys are not possible"},
		"tag":                      {job("description: !!str x"), "8:18: tags are not possible"},
		"question mark":            {job("? description"), "8:5: keys with ? are not possible"},
		"directive":                {"%YAML 1.2\n---\n" + job(""), "1:1: directives are not possible"},
		"too deep":                 {job("labels: " + strings.Repeat("[", 40)), "the nesting is too deep"},
		"far too deep":             {strings.Repeat("[", 1<<17), "the nesting is too deep"},
		"too deep in lines":        {strings.Repeat("- ", 1<<17), "the nesting is too deep"},
		"too deep in columns":      {nested(40), "the nesting is too deep"},
		"too many keys":            {strings.Repeat("a:\n ", 1<<15), "there are too many keys in one file"},
		"endless quotes":           {strings.Repeat(`"`, 1<<16), "value is not allowed in this context"},
		"duplicate key":            {job(action), `8:5: jobs.a.transfer: the key "transfer" is in line 7 already`},
		"duplicate job":            {job("") + "  a: {" + action + "}\n", `9:3: jobs.a: the key "a" is in line 6 already`},
		"unknown key":              {job("retries: 3"), `8:5: jobs.a.retries: unknown key "retries", did you mean backoff_limit?`},
		"misspelt key":             {job("time-zone: UTC"), `unknown key "time-zone", did you mean time_zone?`},
		"strange key":              {head + "jobs: {a: {delete: {collection: lab, paths: [/x], qqqqqqqqqqqq: 1}}}", "possible are collection, ignore_missing"},
		"number for text":          {job("description: 7"), "8:18: jobs.a.description: got 7, want text, in quotes if you mean it"},
		"number for an id":         {"version: 1\ncollections: {lab: 7}\njobs: {}\n", "2:20: collections.lab: got 7, want a collection id (a UUID such as "},
		"nothing for text":         {job("description:"), "jobs.a.description: got nothing, want text"},
		"empty text":               {job("description: ''"), "8:18: jobs.a.description: the text is empty"},
		"two lines":                {job("description: |\n      a\n      b"), "8:18: jobs.a.description: the text has a line end in it"},
		"long text":                {job("description: " + strings.Repeat("x", 5000)), "the text has 5000 bytes, at most 4096"},
		"text for truth":           {job("suspend: 'true'"), `8:14: jobs.a.suspend: got "true", want true or false`},
		"octal number":             {job("backoff_limit: 010"), "8:20: a number is written in decimal digits"},
		"octal number of 1.2":      {job("backoff_limit: 0o10"), "a number is written in decimal digits"},
		"hexadecimal number":       {job("backoff_limit: 0x10"), "a number is written in decimal digits"},
		"binary number":            {job("backoff_limit: 0b10"), "a number is written in decimal digits"},
		"number with _":            {job("backoff_limit: 1_0"), "a number is written in decimal digits"},
		"text for number":          {job("backoff_limit: '1'"), `got "1", want a number from 0 to 1000`},
		"large number":             {job("backoff_limit: 1001"), "got 1001, want a number from 0 to 1000"},
		"huge number":              {job("backoff_limit: 99999999999999999999999"), "want a number from 0 to 1000"},
		"after several":            {job("after: [b, c]"), "8:12: jobs.a.after: a job comes after one job: let the others come after each other, or make all of them steps of one job"},
		"list for mapping":         {job("on: [stalled]"), "8:9: jobs.a.on: got a list, want a mapping of keys and values"},
		"odd word":                 {job("catch_up: newest"), `got "newest", want none, latest or all`},
		"key of a transfer":        {job("delete_destination_extra: true"), `unknown key "delete_destination_extra", it belongs in transfer`},
		"number for duration":      {job("jitter: 90"), "got 90, want a duration such as 90s, 30m, 12h or 7d"},
		"odd duration":             {job("jitter: 1.5h"), `"1.5h" is not a duration such as 90s`},
		"endless duration":         {job("jitter: 99999999999999999999d"), "is too long, at most 3650d"},
		"summed duration":          {job("jitter: 3650d3650d3650d"), "is too long, at most 3650d"},
		"no deadline":              {job("active_deadline: 0s"), "0s is too short, want at least 1m0s"},
		"unknown zone":             {job("time_zone: Europe/Berln"), "did you mean Europe/Berlin?"},
		"never":                    {job("schedule: 0 0 30 2 *"), "8:15: jobs.a.schedule: "},
		"schedule and after":       {job("schedule: '@daily'\n    after: a"), "8:15: jobs.a.schedule: the job has after as well"},
		"odd label":                {job("labels: {'a b': x}"), `label name "a b"`},
		"label of two lines":       {job(`labels: {a: "x\ny"}`), "label has a line end in it"},
		"job name":                 {strings.Replace(job(""), "  a:", "  A_b:", 1), `6:3: jobs.A_b: job name "A_b": want lower-case letters, digits and inner dashes, as Kubernetes does, did you mean a-b?`},
		"long job name":            {strings.Replace(job(""), "  a:", "  "+strings.Repeat("a", 53)+":", 1), "the name has 53 characters, at most 52"},
		"collection id":            {strings.Replace(job(""), "-0000-4000-8000-000000000001", "", 1), `3:8: collections.lab: "0b6c8f2e" is not a collection id`},
		"collection name":          {strings.Replace(job(""), "  lab:", "  Lab:", 1), `name "Lab": want lower-case letters`},
		"collection path":          {strings.Replace(job(""), "/projects/lab7/", "projects", 1), `path "projects" is not absolute`},
		"unknown collection":       {strings.Replace(job(""), "lab:/a/", "lib:/a/", 1), `7:24: jobs.a.transfer.source: there is no collection "lib", did you mean lab?`},
		"id in a location":         {strings.Replace(job(""), "lab:/a/", labID+":/a/", 1), "a collection needs a short name here"},
		"no collection":            {strings.Replace(job(""), "lab:/a/", "/a/", 1), `"/a/" has no collection, want collection:/path`},
		"no path":                  {strings.Replace(job(""), "lab:/a/", "lab:", 1), "the path is empty"},
		"relative path":            {strings.Replace(job(""), "lab:/a/", "lab:a/", 1), `path "a/" is not absolute, and collection lab has no path that it could be below; write /a/`},
		"path that leads up":       {strings.Replace(job(""), "lab:/a/", "lab:/a/../b", 1), "has .. in it, write where it leads to"},
		"no version":               {strings.Replace(job(""), "version: 1\n", "", 1), `1:1: the key "version" is missing, write version: 1`},
		"other version":            {strings.Replace(job(""), "version: 1", "version: 2", 1), "1:10: version: got 2, want 1"},
		"no jobs":                  {head, `the key "jobs" is missing`},
		"empty jobs":               {head + "jobs: {}\n", "5:7: jobs: there is no job, name at least one"},
		"an empty history":         {job("") + "history: {}\n", `9:10: history: it is empty`},
		"no runs at all":           {job("") + "history: {max_runs: 0}\n", `9:21: history.max_runs: `},
		"secret":                   {job("") + "env: [CLIENT_SECRET]\n", "9:7: env[0]: CLIENT_SECRET may hold a secret"},
		"odd variable":             {job("") + "env: [A-B]\n", `"A-B" is not the name of a variable`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText(tt.text)
			if err == nil || strings.Count(err.Error(), tt.want) != 1 {
				t.Errorf("got\n%v\nwant one problem with\n%s", err, tt.want)
			}
		})
	}
}

// Whoever made one mistake must not have to find out which of several problems
// is the cause of the others.
func TestOneMistakeIsOneProblem(t *testing.T) {
	const good = `{transfer: {source: "lab:/a/", destination: "vault:b/"}}`
	tests := map[string]struct{ job, wrong, right string }{
		"a truth value of YAML 1.1":    {`{transfer: {source: "lab:/a/", destination: "vault:b/", recursive: yes}}`, "yes", "true"},
		"the same of one item":         {`{transfer: {items: [{source: "lab:/a/", destination: "vault:b/", recursive: on}]}}`, "on", "true"},
		"the same beside a filter":     {`{transfer: {source: "lab:/a", destination: "vault:b", recursive: yes, filter_rules: [{name: x}]}}`, "yes", "true"},
		"the same of a delete":         {`{delete: {collection: lab, paths: [/a/], recursive: yes}}`, "yes", "true"},
		"a collection, as the source":  {`{transfer: {source: "vaul:a/", destination: "lab:/b/"}}`, "vaul", "vault"},
		"a collection, to be mirrored": {`{transfer: {source: "lab:/a/", destination: "vaul:b/", delete_destination_extra: true}}`, "vaul", "vault"},
		"a collection of a delete":     {`{delete: {collection: vaul, paths: [a/], recursive: true}}`, "vaul", "vault"},
		"a collection of a mkdir":      {`{steps: [{mkdir: {collection: vaul, path: a/}}]}`, "vaul", "vault"},
		"transfer":                     {`{transfr: {source: "lab:/a/", destination: "vault:b/"}}`, "transfr", "transfer"},
		"transfer, as a step":          {`{steps: [{transfr: {source: "lab:/a/", destination: "vault:b/"}}]}`, "transfr", "transfer"},
		"source":                       {`{transfer: {sorce: "lab:/a/", destination: "vault:b/"}}`, "sorce", "source"},
		"destination, of another tool": {`{transfer: {source: "lab:/a/", dst: "vault:b/"}}`, "dst", "destination"},
		"items":                        {`{transfer: {itms: [{source: "lab:/a/", destination: "vault:b/"}]}}`, "itms", "items"},
		"manifest":                     {`{transfer: {manifst: m.tsv, items_per_task: 5, source: "lab:/a/", destination: "vault:b/"}}`, "manifst", "manifest"},
		"external_checksum":            {`{transfer: {source: "lab:/a", destination: "vault:b", external_checksm: abc, checksum_algorithm: md5}}`, "external_checksm", "external_checksum"},
		"collection":                   {`{delete: {colection: lab, paths: [/a/], recursive: true}}`, "colection", "collection"},
		"paths":                        {`{delete: {collection: lab, path: [/a/], recursive: true}}`, "path", "paths"},
		"unproven":                     {`{steps: [{transfer: {source: "lab:/a/", destination: "vault:b/"}}, {delete: {collection: lab, paths: [/a/], unprovn: true}}]}`, "unprovn", "unproven"},
		"unproven as YAML 1.1 has it":  {`{steps: [{transfer: {source: "lab:/a/", destination: "vault:b/"}}, {delete: {collection: lab, paths: [/a/], unproven: yes}}]}`, "yes", "true"},
		"of":                           {`{prune: {off: [a]}}`, "off", "of"},
		"transfer before a prune":      {`{steps: [{transfr: {source: "lab:/a/", destination: "vault:b/"}}, {prune: {}}]}`, "transfr", "transfer"},
		"collections":                  {good, "collections", ""},
		"jobs":                         {good, "jobs", ""},
		"version":                      {good, "version", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := "version: 1\ncollections:\n  lab: " + labID + "\n  vault: {id: " + labID + ", path: /v/}\njobs:\n  a: " + tt.job + "\n"
			if tt.right == "" { // a key of the file loses its first letter
				text, tt.right = strings.Replace(text, tt.wrong+":", tt.wrong[1:]+":", 1), tt.wrong
				tt.wrong = tt.wrong[1:]
			}
			_, err := parseText(text)
			if problems := jobs.Problems(err); len(problems) != 1 || !strings.Contains(problems[0].Msg, tt.wrong) || !strings.Contains(problems[0].Msg, tt.right) {
				t.Errorf("got\n%v\nwant one problem, with %s and %s", err, tt.wrong, tt.right)
			}
		})
	}
}

// nested is a mapping in a mapping, and so on.
func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestAProblemShowsItsLine(t *testing.T) {
	_, err := parseText("version: 1\r\njobs: 7 # none\r\n")
	problems := jobs.Problems(err)
	if len(problems) != 1 {
		t.Fatalf("got %v, want one problem", err)
	}
	want := jobs.Problem{File: "jobs.yaml", Line: 2, Col: 7, Field: "jobs", Msg: "got 7, want a mapping of keys and values", Snippet: "jobs: 7 # none"}
	if got := *problems[0]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestABadFileHidesNoProblemOfAnother(t *testing.T) {
	_, err := jobs.Parse(nil,
		jobs.Source{Name: "1.yaml", Data: []byte("jobs: [")},
		jobs.Source{Name: "2.yaml", Data: []byte("version: 3\njobs: {a: {}}\n")},
	)
	var files []string
	for _, p := range jobs.Problems(err) {
		files = append(files, p.File)
	}
	if got := strings.Join(files, " "); got != "1.yaml 2.yaml 2.yaml" {
		t.Errorf("got problems of %s: %v", got, err)
	}
}

func TestATabBesideATextIsABlank(t *testing.T) {
	const text = head + "jobs:\n  a:\n    transfer:\t{source: 'lab:/a/', destination: 'vault:b/'}\t# of\tlab\n" +
		"    description:\t'a\tb'\t\n    # a\tb\n    schedule: '30\t2 * * *'\n"
	if got, want := firstJob(t, text).Description, "a\tb"; got != want {
		t.Errorf("got description %q, want %q", got, want)
	}
}
