package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Commands in documents have flags that are there.
func TestCommandsInDocuments(t *testing.T) {
	help := map[string]string{}
	checked := 0
	for _, name := range []string{"../../README.md", "../../docs/operations.md", "../../docs/distributed.md"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		joined := strings.ReplaceAll(string(text), "\\\n", " ")
		for _, m := range regexp.MustCompile(`(?m)(?:^|[ /])stride (query|explain|serve|compare|generate|demo) ([^\n|#]*--[^\n|#]*)`).FindAllStringSubmatch(joined, -1) {
			command, _, _ := strings.Cut(m[2], "`") // what follows is prose
			if help[m[1]] == "" {
				var out strings.Builder
				require.Zero(t, run(context.Background(), []string{m[1], "--help"}, strings.NewReader(""), &out, io.Discard))
				help[m[1]] = out.String()
			}
			for _, f := range regexp.MustCompile(`(?:^| )--(?:no-)?([a-z][a-z.-]*)`).FindAllStringSubmatch(command, -1) {
				checked++
				require.Regexp(t, `--(\[no-\])?`+regexp.QuoteMeta(f[1])+`\b`, help[m[1]], "%s: stride %s --%s", name, m[1], f[1])
			}
		}
	}
	require.Greater(t, checked, 60)
}
