// Command suite runs the tests of this module as "make test" does: those of
// packages with concurrent code with the race detector where a C compiler makes
// that possible, the others without, and says at the end what was skipped.
//
//	go run ./test/suite [-long] [FLAG OF GO TEST]...
//
// It exits 0 if every test passed or was skipped, and 1 otherwise.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/test/long"
)

const module = "github.com/globus-runner/globus-runner/"

// sequential are the packages, and the folders that end in "/", whose tests
// start no goroutine in code of ours: programs of their own, or none at all.
var sequential = []string{
	"internal/export", "internal/fault", "internal/migrate", "internal/plain", "internal/proof", "internal/report", "internal/spelling", "jobs", "schedule", "test/",
}

// programs are the packages whose tests start hundreds of processes, which take
// three times as long with the detector. Only the long form takes that time.
var programs = []string{"cmd/runner"}

// models are tests that play long histories in virtual time, or measure memory:
// with the detector they would take most of the time of the tests. The others of
// their packages do the same things, in shorter ones.
var models = strings.Join([]string{
	"TestAFacilityLosesNothing", "TestAWeekReadsLikeADiary", "TestEachFinishedItemIsCopiedOnceWhateverDies", "TestEveryVerdictIsWhatTheDisksSay",
	"TestJobsAreDueAsTheJobsFileSaysHoweverItTookEffect", "TestNoEventIsLostAndNoneHasTwoIDs", "TestNoItemIsEarlyAndNoneIsForgotten", "TestPruneDeletesNothingThatIsNotElsewhere",
	"TestReceiptOfManyFilesFitsIntoMemory", "TestWhatIsCaughtUpWithWaitsItsTurn", "TestYearOfABusyJobsFile",
}, "|")

// stories are tests that take a second or more with the detector, and less than
// a third of it without. Only the long form takes that time.
var stories = strings.Join([]string{
	"TestAFileIsNotCopiedOverTheOnlyCopyOfAPrunedOne", "TestAJobThatKeepsFailingIsSummarized", "TestALookAsksForNoMoreThanNewFolders",
	"TestALookAtManyItemsAsksForWhatIsNew",
	"TestATaskListHasNoMoreThanAThousandRows", "TestAsManyItemsAsFitAreOneTask", "TestBacklogOfTheAccountIsKeptTheOldestFirst",
	"TestCutBetweenTwoChangesGivesNoFurtherAttempt", "TestDeadlineOfATaskSaysWhatItWasDoing",
	"TestEachEventIsToldOnceOverRestarts", "TestEveryRunEndsWhenItHasBeenCalmForLongEnough",
	"TestKilledPruneLeavesNoFolderAside", "TestKilledPruneSendsNoListASecondTime", "TestKilledRunHasOneReceipt",
	"TestItemsThatAreReadyTogetherAreSubmittedWithTheLook", "TestKilledRunIsTakenOverAndHasOneTask", "TestManifestIsReadAsAStream",
	"TestManyTasksAreWatchedWithFewRequests", "TestMemoryDoesNotGrowWithTheNumberOfFiles",
	"TestMissedOccurrencesAreCaughtUpWithAsTheJobWants", "TestOccurrenceThatWaitedLongForAPlaceIsLookedFor",
	"TestOutageOfAnHourLosesAndDoublesNothing", "TestPausedJobStartsNothingAndCatchesUpWithNothing", "TestProgressPutsTheDefaultDeadlineOff",
	"TestPruneHasListsOfABoundedLength", "TestResultSaysHowTheTaskEnded", "TestTaskThatMakesProgressIsLoggedOnceAMinute",
	"TestTaskThatRecoversSucceeds", "TestTheMicroscopeOfTheExample", "TestTokenThatEndsInTheMiddleIsRenewed",
	"TestUnconfirmedSubmissionIsNeverGivenUp", "TestWhatBecameReadyWhileTheCollectionWasOfflineComesInOrder",
	"TestWhatIsMissedAfterAPauseIsCaughtUpWith", "TestWhatWasLeftIsTriedAgainAfterTwiceAsLongEachTime",
}, "|")

// modeled are the packages that have models or stories.
var modeled = []string{"globussim", "internal/account", "internal/arrival", "internal/audit", "internal/engine", "internal/notify", "internal/tree"}

// slow are the packages to begin with, so that no core waits for them at the end.
var slow = []string{"internal/engine", "cmd/runner", "globussim", "internal/ledger", "test/crash", "internal/export"}

// uninstrumented keeps the race detector out of the SQLite engine. It is C made
// into Go, and takes most of the time of the tests when every access is watched.
// Packages of the standard library cannot be left out: their caches would look like
// races.
const uninstrumented = "-gcflags=modernc.org/...=-race=false"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	begin := time.Now()
	env, alone, unwatched := os.Environ(), sequential, models
	if i := slices.Index(args, "-long"); i >= 0 {
		args = slices.Delete(slices.Clone(args), i, i+1)
		env = append(env, long.Variable+"=1")
	} else {
		alone = append(slices.Clone(alone), programs...)
		unwatched += "|" + stories
	}
	concurrent, other, err := packages(ctx, alone)
	if err != nil {
		fmt.Fprintln(stderr, "suite:", err)
		return 1
	}
	// A program with the detector sleeps for a second at its end, for races of what
	// goes on meanwhile. Our tests wait for what they start.
	env = append(env, "GORACE=atexit_sleep_ms=50 "+os.Getenv("GORACE"))
	s := suite{stdout: stdout, stderr: stderr, env: env}
	// Both go commands run at once: the programs of the second one wait for
	// each other most of the time, while the first one keeps a core busy.
	var both sync.WaitGroup
	reason := noRace(ctx)
	if reason == "" {
		both.Go(func() {
			s.test(ctx, slices.Concat([]string{"-race", uninstrumented, "-skip", "^(" + unwatched + ")$"}, args), concurrent)
		})
	} else {
		s.skips = append(s.skips, "the race detector: "+reason)
		other = slices.Concat(concurrent, other)
	}
	s.test(ctx, slices.Concat([]string{"-parallel=8"}, args), other)
	if reason == "" {
		var all []string
		for _, name := range modeled {
			all = append(all, module+name)
		}
		s.test(ctx, slices.Concat([]string{"-run", "^(" + unwatched + ")$"}, args), all)
	}
	both.Wait()
	for _, skip := range s.skips {
		fmt.Fprintln(stdout, "skipped:", skip)
	}
	fmt.Fprintf(stdout, "%d tests passed, %d failed, %d skipped, in %v\n", s.passed, s.failed, len(s.skips), time.Since(begin).Round(time.Second))
	if s.failed > 0 || s.broken {
		return 1
	}
	return 0
}

// packages returns the packages of the module, the slow ones first: those for
// the race detector, and those whose tests run without it.
func packages(ctx context.Context, without []string) (concurrent, other []string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("list the packages: %w", err)
	}
	all := strings.Fields(string(out))
	slices.SortStableFunc(all, func(a, b string) int { return rank(a) - rank(b) })
	for _, name := range all {
		alone := slices.ContainsFunc(without, func(s string) bool {
			rest, ok := strings.CutPrefix(name, module+s)
			return ok && (rest == "" || strings.HasSuffix(s, "/"))
		})
		if alone {
			other = append(other, name)
		} else {
			concurrent = append(concurrent, name)
		}
	}
	return concurrent, other, nil
}

// rank returns the place of a package in the order in which they are begun.
func rank(name string) int {
	if i := slices.Index(slow, strings.TrimPrefix(name, module)); i >= 0 {
		return i
	}
	return len(slow)
}

// noRace returns why the race detector cannot be used, or nothing.
func noRace(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "go", "env", "CGO_ENABLED", "CC").Output()
	enabled, compiler, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	switch words := strings.Fields(compiler); {
	case err != nil:
		return err.Error()
	case len(words) > 0 && enabled == "1":
		if _, err := exec.LookPath(words[0]); err == nil {
			return ""
		}
		fallthrough
	default:
		return "it needs a C compiler, and there is none, or CGO_ENABLED is 0"
	}
}

// A suite adds up what several go commands report.
type suite struct {
	stdout, stderr io.Writer
	env            []string

	mu             sync.Mutex // holds what follows, and the writers while a package is printed
	passed, failed int
	skips          []string
	broken         bool // something failed that is not a test, such as a build
}

// An event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of a package that is built
}

// test runs the tests of packages and prints, as go test does without -v, one
// line for each package and all that a test that failed printed.
func (s *suite) test(ctx context.Context, flags, names []string) {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"test", "-json", "-shuffle=on"}, flags, names)...)
	cmd.Env, cmd.Stderr = s.env, s.stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.fault(err)
		return
	}
	printed := map[string]string{} // by package and test
	for d := json.NewDecoder(out); ; {
		var e event
		if err := d.Decode(&e); err != nil {
			if !errors.Is(err, io.EOF) {
				s.fault(fmt.Errorf("read what go test reports: %w", err))
			}
			break
		}
		s.event(&e, printed)
	}
	_, _ = io.Copy(io.Discard, out) // what cannot be read must not stop the tests
	if err := cmd.Wait(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.broken = true
	}
}

// fault prints why tests could not be run.
func (s *suite) fault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.stderr, "suite:", err)
	s.broken = true
}

func (s *suite) event(e *event, printed map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	test := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		printed[test] += e.Output
	case "build-output":
		fmt.Fprint(s.stdout, e.Output)
	case "pass", "fail", "skip":
		text := printed[test]
		delete(printed, test)
		if e.Test == "" { // the package is over
			if e.Action == "pass" {
				text = result(text)
			}
			for name, rest := range printed { // a test that never ended, as at a time-out
				if e.Action == "fail" && strings.HasPrefix(name, test) {
					fmt.Fprint(s.stdout, rest)
				}
			}
			if e.Action != "skip" {
				fmt.Fprint(s.stdout, text)
			}
			return
		}
		switch e.Action {
		case "pass":
			s.passed++
		case "fail":
			s.failed++
			fmt.Fprint(s.stdout, text)
		case "skip":
			s.skips = append(s.skips, strings.TrimPrefix(e.Package, module)+" "+e.Test+": "+reason(text))
		}
	}
}

// result returns the last line of a package's output: its name and time.
func result(text string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1] + "\n"
}

// reason returns what a test said when it skipped itself.
func reason(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ") && !strings.HasPrefix(strings.TrimSpace(line), "---") {
			if _, said, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				return strings.TrimPrefix(said, "skipped: ")
			}
		}
	}
	return "it gave no reason"
}
