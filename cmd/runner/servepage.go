package main

import (
	"os"

	"github.com/globus-runner/globus-runner/internal/engine"
	"github.com/globus-runner/globus-runner/internal/page"
)

// openPage makes the page, if there is an address to serve it at.
func (s *server) openPage() error {
	a := s.app
	if a.env.ListenAddress() == "" {
		return nil
	}
	access := &a.env.Page
	if err := access.Check(); err != nil {
		return usageError{err}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // it is only shown
	}
	s.page = page.New(page.Config{
		Ledger: s.ledger, Jobs: s.inForce.Load, Pending: s.pending, TaskPage: a.env.TaskPage, Name: host, Log: a.log,
		Access: page.Access{View: access.View, Admin: access.Admin, UserHeader: access.UserHeader},
	})
	s.status.Mount(s.page.Handler())
	return nil
}

// pending returns the newest jobs file if it is not in force.
func (s *server) pending() *page.Pending {
	if s.reloader == nil {
		return nil
	}
	since, why := s.reloader.refusal()
	if why == nil {
		return nil
	}
	return &page.Pending{Since: since, Why: why}
}

// showProgress has the page show how far a task has come.
func (s *server) showProgress(e engine.Looked) {
	if s.page == nil {
		return
	}
	s.page.Progress(e.Job, page.Progress{
		Task: e.Task.TaskID, Class: string(e.Class), Files: e.Task.Files, FilesTransferred: e.Task.FilesTransferred,
		Bytes: e.Task.BytesTransferred, Rate: e.Task.EffectiveBytesPerSecond,
	})
}
