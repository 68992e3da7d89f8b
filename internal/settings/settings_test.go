package settings

import "testing"

func TestOnlyTasksOfTheRealServiceHaveAPage(t *testing.T) {
	const page = "https://app.globus.org/activity/t%2F1"
	tests := map[string]struct {
		environ []string
		want    string
	}{
		"by default":          {nil, page},
		"the same, written":   {[]string{"GLOBUS_SDK_SERVICE_URL_TRANSFER=https://Transfer.API.globus.org"}, page},
		"a simulator":         {[]string{"GLOBUS_SDK_SERVICE_URL_TRANSFER=http://127.0.0.1:8080"}, ""},
		"another environment": {[]string{"GLOBUS_SDK_ENVIRONMENT=preview"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Read(tt.environ).TaskPage("t/1", ""); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
