package tree_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/auth"
	"github.com/globus-runner/globus-runner/clientcreds"
	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/tree"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestRules(t *testing.T) {
	tests := map[string]struct {
		rules []transfer.FilterRule
		name  string
		dir   bool
		take  bool
	}{
		"no rules":                    {nil, "a", false, true},
		"no method means exclude":     {[]transfer.FilterRule{{Name: "a"}}, "a", false, false},
		"both types":                  {[]transfer.FilterRule{{Name: "a"}}, "a", true, false},
		"the whole name":              {[]transfer.FilterRule{{Name: "a"}}, "ab", false, true},
		"for files alone":             {[]transfer.FilterRule{{Name: "*", Type: "file"}}, "a", true, true},
		"for folders alone":           {[]transfer.FilterRule{{Name: "*", Type: "dir"}}, "a", false, true},
		"the first that fits decides": {[]transfer.FilterRule{{Method: "include", Name: "*.h5"}, {Method: "exclude", Name: "*"}}, "x.h5", false, true},
		"what the first left":         {[]transfer.FilterRule{{Method: "include", Name: "*.h5"}, {Method: "exclude", Name: "*"}}, "x.tmp", false, false},
		"hidden names are names":      {[]transfer.FilterRule{{Name: "*"}}, ".a", false, false},
		"no class":                    {[]transfer.FilterRule{{Name: "[!a-c]x"}}, "bx", false, true},
		"a class":                     {[]transfer.FilterRule{{Name: "[!a-c]x"}}, "dx", false, false},
		"case counts":                 {[]transfer.FilterRule{{Name: "A"}}, "a", false, true},
		"one character of many bytes": {[]transfer.FilterRule{{Name: "?"}}, "é", false, false},
		"many stars":                  {[]transfer.FilterRule{{Name: strings.Repeat("*a", 50) + "b"}}, strings.Repeat("a", 5000), false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tree.NewRules(tt.rules).Take(tt.name, tt.dir); got != tt.take {
				t.Errorf("got %t, want %t", got, tt.take)
			}
		})
	}
}

// FuzzRulesAreThoseOfTheSimulator copies a file and a folder of one name in the
// simulator, which shares no code with the rules.
func FuzzRulesAreThoseOfTheSimulator(f *testing.F) {
	for _, pattern := range []string{"*", "?*.h5", "[a-c]*", "[!a]?", "[]a]", "[a-]", "[^é-ü]", `\*`, `[\]]`, "[", "[a", "lost+found", "a*b*c", "*[*]", "ä"} {
		f.Add("abc", pattern, "b*", "exclude", "", "include", "file")
		f.Add("x]é.h5", "*.tmp", pattern, "include", "dir", "", "dir")
		f.Add(pattern, pattern, "*", "include", "file", "exclude", "")
	}
	f.Fuzz(func(t *testing.T, name, pattern1, pattern2, method1, kind1, method2, kind2 string) {
		switch {
		case name == "." || name == ".." || name == "" || len(name) > 200 || strings.ContainsAny(name, "/\x00"),
			strings.HasPrefix(name, ".globussim"), len(pattern1)+len(pattern2) > 400,
			!utf8.ValidString(name) || !utf8.ValidString(pattern1) || !utf8.ValidString(pattern2), // JSON cannot carry it
			pattern1 == "" || pattern2 == "", strings.Contains(pattern1+pattern2, "/"):
			t.Skip("not a name, or not a pattern")
		}
		rules := []transfer.FilterRule{
			{Method: oneOf(method1, "", "exclude", "include"), Type: oneOf(kind1, "", "file", "dir"), Name: pattern1},
			{Method: oneOf(method2, "", "exclude", "include"), Type: oneOf(kind2, "", "file", "dir"), Name: pattern2},
		}
		file, dir := simulated(t, name, rules)
		ours := tree.NewRules(rules)
		if got := ours.Take(name, false); got != file {
			t.Errorf("%q as a file is taken: %t, the simulator says %t (%+v)", name, got, file, rules)
		}
		if got := ours.Take(name, true); got != dir {
			t.Errorf("%q as a folder is taken: %t, the simulator says %t (%+v)", name, got, dir, rules)
		}
	})
}

func oneOf(word string, words ...string) string {
	return words[len(word)%len(words)]
}

// simulated reports whether a transfer in the simulator takes a file and a
// folder of this name.
func simulated(t *testing.T, name string, rules []transfer.FilterRule) (file, dir bool) {
	t.Helper()
	lab, vault := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(lab, "dirs", name), 0o755); err != nil {
		t.Skip(err) // no name of a file here
	}
	if err := os.Mkdir(filepath.Join(lab, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lab, "files", name), nil, 0o644); err != nil {
		t.Skip(err)
	}
	synctest.Test(t, func(t *testing.T) {
		sim, err := globussim.New(globussim.Config{
			Collections: []globussim.Collection{{Name: "lab", Dir: lab}, {Name: "vault", Dir: vault}},
			Accounts:    []globussim.Account{{ID: clientID, Secret: "s"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Close() //nolint:errcheck // all is done by then
		client := newClient(sim)
		doc := &transfer.Transfer{
			SourceEndpoint: globussim.CollectionID("lab"), DestinationEndpoint: globussim.CollectionID("vault"), FilterRules: rules,
			Items: []transfer.Item{
				{SourcePath: "/files/", DestinationPath: "/files/", Recursive: new(true)},
				{SourcePath: "/dirs/", DestinationPath: "/dirs/", Recursive: new(true)},
			},
		}
		sent, err := client.Submit(t.Context(), doc)
		if err != nil {
			t.Fatal(err)
		}
		if task, err := client.Wait(t.Context(), sent.TaskID); err != nil || task.Status != transfer.Succeeded {
			t.Fatalf("got %+v and %v", task, err)
		}
	})
	there := func(folder string) bool {
		_, err := fs.Stat(os.DirFS(vault), folder+"/"+name)
		return err == nil
	}
	return there("files"), there("dirs")
}

const clientID = "0c5b4a7e-2f0d-4c1e-9d6b-1a2b3c4d5e6f"

func newClient(sim *globussim.Server) *transfer.Client {
	account := clientcreds.New(clientID, "s", clientcreds.WithClient(auth.New(sim.Client())))
	return transfer.New(&http.Client{Transport: account.Transport(auth.TransferServer, sim.Client().Transport)})
}

// TestWalkOfTheSimulator lists what a service answers.
func TestWalkOfTheSimulator(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"d/a", "d/s/b", ".hidden", "with space/c"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("12"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(".", filepath.Join(dir, "d", "loop")); err != nil {
		t.Fatal(err)
	}
	sim, err := globussim.New(globussim.Config{
		Collections: []globussim.Collection{{Name: "lab", Dir: dir}},
		Accounts:    []globussim.Account{{ID: clientID, Secret: "s"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close() //nolint:errcheck // nothing is at work
	f := tree.Folder{Lister: newClient(sim), Collection: globussim.CollectionID("lab"), Path: "/"}
	var got []string
	for e, err := range tree.Walk(t.Context(), f, tree.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Err != nil || e.Kind == tree.File && (e.Size != 2 || e.Modified.IsZero()) {
			t.Errorf("got %+v", e)
		}
		got = append(got, string(e.Kind)+" "+e.Path)
	}
	want := "dir , file .hidden, dir d, file d/a, link d/loop, dir d/s, file d/s/b, dir with space, file with space/c"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
