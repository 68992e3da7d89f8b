package notify_test

import (
	"os"
	"testing"

	"github.com/globus-runner/globus-runner/test/scratch"
)

func TestMain(m *testing.M) { os.Exit(scratch.Run(m)) }
