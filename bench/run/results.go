package run

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"

	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/record"
)

// Results are the lines of a results file.
type Results struct {
	Run   record.Run // of the last run that wrote to it
	Cells []record.Cell
}

// ReadResults reads a results file. A last line that is cut short, by a run that was killed, is left out. Of cells with the same data
// set, query and engine the last one counts.
func ReadResults(file string) (*Results, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Wrap(err, "read results")
	}
	var (
		r  Results
		at = map[[3]string]int{}
	)
	for n := 1; len(b) > 0; n++ {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		b = rest
		if !whole {
			break
		}
		var l struct {
			record.Cell
			Run *record.Run `json:"run"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, errors.Wrapf(err, "%s: line %d is not a result", file, n)
		}
		if l.Run != nil {
			r.Run = *l.Run
			continue
		}
		id := [3]string{l.Dataset, l.Query, l.Engine}
		if i, ok := at[id]; ok {
			r.Cells[i] = l.Cell
			continue
		}
		at[id] = len(r.Cells)
		r.Cells = append(r.Cells, l.Cell)
	}
	return &r, nil
}

// writer appends to a results file, so that what is finished is kept when a run is ended.
type writer struct{ f *os.File }

func openWriter(file string, run record.Run) (*writer, error) {
	if err := endLine(file); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, errors.Wrap(err, "write results")
	}
	w := &writer{f}
	return w, w.write(struct {
		Run record.Run `json:"run"`
	}{run})
}

// endLine cuts off a last line that was not written to its end.
func endLine(file string) error {
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return errors.Wrap(err, "read results")
	}
	return errors.Wrap(os.Truncate(file, int64(bytes.LastIndexByte(b, '\n')+1)), "mend results")
}

func (w *writer) write(line any) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(line); err != nil {
		return errors.Wrap(err, "encode result")
	}
	out := bufio.NewWriter(w.f)
	if _, err := out.Write(b.Bytes()); err != nil {
		return errors.Wrap(err, "write result")
	}
	return errors.Wrap(out.Flush(), "write result")
}

func (w *writer) close() error { return w.f.Close() }
