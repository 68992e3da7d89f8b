package settings

import "testing"

func TestEveryVariableHasAMeaning(t *testing.T) {
	e := Read([]string{"CLIENT_SECRET=hush", "CLIENT_ID="})
	for _, v := range e.Variables() {
		if v.Meaning == "" {
			t.Errorf("%s has no meaning", v.Name)
		}
		if v.Name == "CLIENT_SECRET" && (!v.Set || v.Value != "") {
			t.Errorf("got %+v, want it set and not shown", v)
		}
		if v.Name == "CLIENT_ID" && v.Set {
			t.Error("an empty variable counts as set")
		}
	}
}
