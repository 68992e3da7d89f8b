package globussim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
)

func TestATaskEndsAtItsDeadline(t *testing.T) {
	tests := map[string]struct {
		deadline any
		after    time.Duration
	}{
		"none: after a day": {nil, 24 * time.Hour},
		"its own":           {"2000-01-01T00:30:00+00:00", 30 * time.Minute},
		"another zone":      {"2000-01-01T01:30:00+01:00", 30 * time.Minute},
		"Z":                 {"2000-01-01T00:30:00Z", 30 * time.Minute},
		"blank, no zone":    {"2000-01-01 00:30:00", 30 * time.Minute},
		"fraction":          {"2000-01-01T00:30:00.5", 30 * time.Minute},
		"a date":            {"2000-01-02", 24 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				id := l.submit(l.transfer("/missing", "/x", doc{"deadline": tt.deadline}))
				time.Sleep(tt.after - time.Second)
				l.task(id).want(t, doc{"status": "ACTIVE"})
				time.Sleep(2 * time.Second)
				task := l.task(id)
				task.want(t, doc{"status": "FAILED", "is_ok": nil, "subtasks_expired": 1, "subtasks_pending": 0})
				if task.fatal() != "EXPIRED" {
					t.Errorf("the fatal error is %v, want EXPIRED", task.doc["fatal_error"])
				}
				if events := l.events(id); events[0] != "EXPIRED" {
					t.Errorf("the newest event is %s, want EXPIRED", events[0])
				}
			}, func(cfg *globussim.Config) { cfg.FaultInterval = time.Minute })
		})
	}
}

func TestAQueuedTaskIsNotOverdue(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.submit(l.transfer("/missing", "/x", doc{"deadline": "2000-01-05"}))
		queued := l.submit(l.transfer("/missing", "/y"))
		time.Sleep(4*24*time.Hour - time.Minute)
		l.task(queued).want(t, doc{"status": "ACTIVE", "nice_status": "Queued"})
		time.Sleep(20 * time.Hour)
		l.task(queued).want(t, doc{"status": "ACTIVE", "nice_status": "FILE_NOT_FOUND"})
	}, func(cfg *globussim.Config) {
		cfg.MaxActive, cfg.FaultInterval, cfg.TokenLifetime = 1, time.Minute, 1000*time.Hour
	})
}

func TestProgressPutsTheDefaultDeadlineOff(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		plant(t, l.lab, map[string]string{"big": strings.Repeat("x", 30*3600)})
		task := l.do(l.transfer("/big", "/big"))
		task.want(t, doc{"status": "SUCCEEDED", "effective_bytes_per_second": 1})
		if took := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); took < 29*time.Hour {
			t.Errorf("it took %v, want 30 hours", took)
		}
	}, func(cfg *globussim.Config) { cfg.Rate = 1; cfg.TokenLifetime = 1000 * time.Hour })
}

func TestProgressAloneMovesADeadlineThatTheServiceChose(t *testing.T) {
	stall := globussim.Disturbance{Action: globussim.StallTask}
	tests := map[string]struct {
		order  *globussim.Disturbance
		submit func(l *lab) doc
		want   []string // at once, after a minute, an hour and two
	}{
		"stalled from the start": {
			&stall,
			func(l *lab) doc { return l.transfer("/big", "/big") },
			[]string{"2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00"},
		},
		"nothing but faults": {
			nil,
			func(l *lab) doc { return l.transfer("/missing", "/x") },
			[]string{"2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00"},
		},
		"source errors that are skipped": {
			nil,
			func(l *lab) doc {
				return l.transfer("", "", doc{"skip_source_errors": true, "DATA": []doc{
					{"source_path": "/missing", "destination_path": "/x"}, {"source_path": "/far", "destination_path": "/denied/far"},
				}})
			},
			[]string{"2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00"},
		},
		"moving": {
			nil,
			func(l *lab) doc { return l.transfer("/big", "/big") },
			[]string{"2000-01-02T00:00:00", "2000-01-04T00:01:00", "2000-01-04T01:00:00", "2000-01-04T02:00:00"},
		},
		"a file and then nothing more": {
			&globussim.Disturbance{Action: globussim.StallTask, AfterFiles: 1},
			func(l *lab) doc {
				return l.transfer("", "", doc{"DATA": []doc{
					{"source_path": "/small", "destination_path": "/small"}, {"source_path": "/big", "destination_path": "/big"},
				}})
			},
			[]string{"2000-01-02T00:00:00", "2000-01-04T00:00:01", "2000-01-04T00:00:01", "2000-01-04T00:00:01"},
		},
		"an empty file, and one that is missing": {
			nil,
			func(l *lab) doc {
				return l.transfer("", "", doc{"DATA": []doc{
					{"source_path": "/empty", "destination_path": "/x"}, {"source_path": "/missing", "destination_path": "/small"},
				}})
			},
			[]string{"2000-01-04T00:00:00", "2000-01-04T00:00:00", "2000-01-04T00:00:00", "2000-01-04T00:00:00"},
		},
		"its own": {
			nil,
			func(l *lab) doc { return l.transfer("/big", "/big", doc{"deadline": "2000-01-01T12:00:00Z"}) },
			[]string{"2000-01-01T12:00:00", "2000-01-01T12:00:00", "2000-01-01T12:00:00", "2000-01-01T12:00:00"},
		},
		"a delete": {
			nil,
			func(l *lab) doc {
				return l.deletion("", doc{"DATA": []doc{{"path": "/small"}, {"path": "/denied/x"}}})
			},
			[]string{"2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00", "2000-01-02T00:00:00"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				plant(t, l.lab, map[string]string{"empty": "", "small": "1", "far": "2", "big": strings.Repeat("x", 10_000), "denied/x": ""})
				if tt.order != nil {
					if err := l.Disturb(*tt.order); err != nil {
						t.Fatal(err)
					}
				}
				id := l.submit(tt.submit(l))
				begin := time.Now()
				for i, after := range []time.Duration{0, time.Minute, time.Hour, 2 * time.Hour} {
					time.Sleep(time.Until(begin.Add(after + time.Second/2)))
					l.task(id).want(t, doc{"status": "ACTIVE", "deadline": tt.want[i] + "+00:00"})
				}
			}, func(cfg *globussim.Config) {
				cfg.Rate, cfg.FaultInterval = 1, 10*time.Second
				for i := range cfg.Collections {
					cfg.Collections[i].Access = []globussim.AccessRule{
						{Principal: robot, Path: "/", Permissions: "r"},
						{Principal: robot, Path: "/small/", Permissions: "rw"},
						{Principal: robot, Path: "/big/", Permissions: "rw"},
						{Principal: robot, Path: "/x/", Permissions: "rw"},
					}
				}
			})
		})
	}
}

func TestAQueuedTaskHasItsDayWhenItStarts(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		first := l.submit(l.transfer("/missing", "/x", doc{"deadline": "2000-01-05"}))
		queued := l.submit(l.transfer("/missing", "/y"))
		time.Sleep(36 * time.Hour)
		l.call(http.MethodPost, "/task/"+first+"/cancel", nil)
		l.task(queued).want(t, doc{"status": "ACTIVE", "nice_status": "FILE_NOT_FOUND", "deadline": "2000-01-03T12:00:00+00:00"})
	}, func(cfg *globussim.Config) { cfg.MaxActive, cfg.FaultInterval = 1, time.Minute })
}
