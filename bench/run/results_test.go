package run

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/bench/record"
)

// TestResume: what was finished before a run was killed in the middle of a line is there, and the next run goes on behind it.
func TestResume(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.jsonl")
	w, err := openWriter(file, record.Run{Command: "first"})
	require.NoError(t, err)
	require.NoError(t, w.write(record.Cell{Key: "1", Dataset: "d", Query: "q", Engine: "e", Series: 1}))
	require.NoError(t, w.write(record.Cell{Key: "2", Dataset: "d", Query: "q2", Engine: "e"}))
	require.NoError(t, w.close())
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"key":"3","data`)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	r, err := ReadResults(file)
	require.NoError(t, err)
	require.Len(t, r.Cells, 2)
	w, err = openWriter(file, record.Run{Command: "second"})
	require.NoError(t, err)
	require.NoError(t, w.write(record.Cell{Key: "1b", Dataset: "d", Query: "q", Engine: "e", Series: 2}))
	require.NoError(t, w.close())
	r, err = ReadResults(file)
	require.NoError(t, err)
	require.Equal(t, "second", r.Run.Command)
	require.Len(t, r.Cells, 2)
	require.Equal(t, "1b", r.Cells[0].Key, "the later one of a query on an engine counts")

	require.NoError(t, os.WriteFile(file, []byte("no\n"), 0o666))
	_, err = ReadResults(file)
	require.ErrorContains(t, err, "line 1 is not a result")
}
