package doctor_test

import (
	"testing"

	"github.com/globus-runner/globus-runner/internal/doctor"
)

func TestASecretThatIsNoneIsDoubted(t *testing.T) {
	const good = "Zk3XJ8yqQn5v0d2mT7wB4rL9sH1cE6uA+oP/iKgFfVY="
	tests := map[string]string{ // what is seen, by secret
		good:              "",
		"canary+/=Xq7Zt0": "",
		"'" + good + "'":  "the secret has quotes around it or in it",
		`"` + good:        "the secret has quotes around it or in it",
		"\ufeff" + good:   "the secret contains a character that secrets do not have, such as a blank or a byte order mark",
		"Zk3X Jyq":        "the secret contains a character that secrets do not have, such as a blank or a byte order mark",

		"CLIENT_SECRET=" + good: "the secret begins with the name of a variable",

		clientID:             "the secret is the client id",
		nativeApp:            "the secret is a UUID, as ids are",
		"changeme":           "the secret looks like the words of an example",
		"<your-secret>":      "the secret looks like the words of an example",
		"${SECRET}":          "the secret looks like the words of an example",
		"xxxxxxxx":           "the secret looks like the words of an example",
		"***":                "the secret looks like the words of an example",
		"YOUR_CLIENT_SECRET": "the secret looks like the words of an example",
		"secret":             "the secret looks like the words of an example",
		"WmszWEo4eXFRbjV2MGQybVQ3d0I0ckw5c0gxY0U2dUErb1AvaUtnRmZWWT0=": "the secret looks as if it had been base64-encoded again",
	}
	for secret, want := range tests {
		got := ""
		for _, f := range doctor.Secret(clientID, secret) {
			got = f.Seen
			if f.Level != doctor.Warning || f.Advice == "" {
				t.Errorf("%s: got %v, want a warning with advice", secret, f)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", secret, got, want)
		}
	}
}

func TestAFileSystemIsJudgedByWhatALedgerNeeds(t *testing.T) {
	tests := map[string]struct {
		kind   string
		chosen bool
		level  doctor.Level
	}{
		"disk":                      {"ext4", false, doctor.OK},
		"unknown":                   {"", false, doctor.OK},
		"network":                   {"nfs", true, doctor.Warning},
		"memory":                    {"tmpfs", false, doctor.Warning},
		"memory that was asked for": {"tmpfs", true, doctor.OK},
		"container":                 {"overlay", false, doctor.Warning},
		"container, asked for":      {"overlay", true, doctor.OK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if f := doctor.Storage(tt.kind, tt.chosen); f.Level != tt.level || (f.Level == doctor.Warning) != (f.Advice != "") {
				t.Errorf("got %v, want %s", f, tt.level)
			}
		})
	}
}
