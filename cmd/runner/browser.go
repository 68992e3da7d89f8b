package main

import (
	"cmp"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// browser returns the command that opens an address in a browser of this machine: that of
// BROWSER, or of the desktop. It returns nil if there is none.
func (a *app) browser() []string {
	if command, _, _ := strings.Cut(a.env.Browser, ":"); command != "" {
		return strings.Fields(command)
	}
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	} else if cmp.Or(a.env.Lookup("DISPLAY"), a.env.Lookup("WAYLAND_DISPLAY")) == "" {
		return nil
	}
	if _, err := exec.LookPath(opener); err != nil {
		return nil
	}
	return []string{opener}
}

// browse starts the browser and does not wait for it, because it may run until its window
// is closed.
func (a *app) browse(browser []string, address string) error {
	args := slices.Clone(browser[1:])
	if i := slices.Index(args, "%s"); i >= 0 {
		args[i] = address
	} else {
		args = append(args, address)
	}
	cmd := exec.Command(browser[0], args...) //nolint:noctx // the window outlives the login
	cmd.Env = a.browserEnviron()
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // what becomes of the window is the person's affair
	return nil
}

// browserEnviron returns the environment of the browser, without the program's secrets.
func (a *app) browserEnviron() []string {
	names := []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY",
		"DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION", "SESSION_MANAGER", "BROWSER",
	}
	prefixes := []string{"LC_", "XDG_", "KDE_", "GNOME_", "GTK_", "QT_"}
	return slices.DeleteFunc(a.env.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return !slices.Contains(names, name) &&
			!slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}
