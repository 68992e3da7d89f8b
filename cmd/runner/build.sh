#!/bin/sh
# Builds the program as it is released: static, small, and the same bytes in
# any folder. Run it in the folder of go.mod:
#
#	cmd/runner/build.sh OUTPUT VERSION [FLAG OF GO BUILD]...
set -eu

output=$1 version=$2
shift 2

# Inlining is kept where the program works hard: in this module, except what
# talks to people or is run by hand, in SQLite, in the parser of jobs files and
# in most of the standard library. In other packages it makes the program larger,
# and no faster. Of the patterns that match a package the last one counts.
module=github.com/globus-runner/globus-runner
CGO_ENABLED=0 exec "${GO:-go}" build -trimpath -ldflags "-s -w -funcalign=16 -X main.version=$version" \
  -gcflags 'github.com/...=-l' -gcflags 'golang.org/x/...=-l' -gcflags 'google.golang.org/...=-l' \
  -gcflags 'html/template=-l' -gcflags 'text/...=-l' \
  -gcflags 'github.com/goccy/...=' -gcflags "$module/...=" \
  -gcflags "$module/cmd/...=-l" -gcflags "$module/globussim=-l" -gcflags "$module/internal/doctor=-l" \
  -gcflags "$module/internal/export=-l" -gcflags "$module/internal/migrate=-l" \
  -o "$output" "$@" ./cmd/runner
