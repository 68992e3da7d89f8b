package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/globus-runner/globus-runner/internal/spelling"
)

// A choice is a flag whose value is one of some words, in any case.
type choice[T ~string] struct {
	to    *T
	words []T
	kind  string // what help calls the value
}

// oneOf returns a flag that sets to. The value there now is the default.
func oneOf[T ~string](to *T, kind string, words ...T) *choice[T] { return &choice[T]{to, words, kind} }

func (c *choice[T]) String() string { return string(*c.to) }
func (c *choice[T]) Type() string   { return c.kind }

// possible are the words, for a shell that completes them.
func (c *choice[T]) possible() (words []string) {
	for _, w := range c.words {
		words = append(words, string(w))
	}
	return words
}

// Set takes a word.
func (c *choice[T]) Set(s string) (err error) {
	*c.to, err = spelling.OneOf(s, c.words...)
	return err
}

// flagError says what is wrong with a flag: which one was meant, or what its
// value has to look like.
func flagError(c *cobra.Command, err error) error {
	text := err.Error()
	unknown, isUnknown := errors.AsType[*pflag.NotExistError](err)
	invalid, isInvalid := errors.AsType[*pflag.InvalidValueError](err)
	switch {
	case isUnknown:
		text += flagHint(c, unknown)
	case isInvalid:
		text = fmt.Sprintf("--%s: %s", invalid.GetFlag().Name, wrongValue(invalid))
	}
	return usageError{fmt.Errorf("%s; see %s --help", text, c.CommandPath())}
}

// flagHint names the flag that was meant, or is empty.
func flagHint(c *cobra.Command, err *pflag.NotExistError) string {
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	word := err.GetSpecifiedName()
	if letters := err.GetSpecifiedShortnames(); letters != "" {
		if len(letters) < 3 {
			return ""
		}
		word, _, _ = strings.Cut(letters, "=") // a long flag with one dash
	}
	if words := c.Flags().Args(); c.HasSubCommands() && len(words) > 0 { // they may be those of globus-cli
		if known := answerCommand(c, words); known != "" {
			return ": " + known
		}
	}
	if known := answerFlag(c, word); known != "" {
		return ": " + known
	}
	if near := spelling.Nearest(word, known); near != "" {
		return ", did you mean --" + near + "?"
	}
	return ""
}

// wrongValue says what is wrong with the value of a flag. The flags of our own
// types say it themselves.
func wrongValue(err *pflag.InvalidValueError) string {
	var want string
	switch err.GetFlag().Value.Type() {
	case "int":
		want = "a whole number"
	case "bool":
		want = "true or false"
	case "duration":
		want = "a time such as 90s, 30m or 2h"
	default:
		return errors.Unwrap(err).Error()
	}
	return fmt.Sprintf("%q is not %s", err.GetValue(), want)
}

// subcommands are the names of the commands below c.
func subcommands(c *cobra.Command) (names []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}
