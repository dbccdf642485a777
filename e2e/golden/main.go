package golden

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
)

// Entry is a message as it is written to a file.
type Entry struct {
	// Name says what it is for, Type what it is.
	Name, Type string
	Bytes      []byte
	// Fields are what is in it, as far as the version knows.
	Fields any `json:",omitempty"`
	// Same says of bytes that Stride made that Thanos makes the same of what it read.
	Same bool `json:",omitempty"`
}

// File is what is written for a version.
type File struct {
	// Lacks are the fields of today's messages that the version does not have.
	Lacks    []string `json:",omitempty"`
	Messages []Entry
}

// Main writes the messages of a version, and what it makes of those that Stride has made, whose file is the first argument, to the directory
// that is the second.
func Main(zeros ...Message) {
	if err := run(os.Args[1:], zeros); err != nil {
		fmt.Fprintln(os.Stderr, "golden:", err)
		os.Exit(1)
	}
}

func run(args []string, zeros []Message) error {
	if len(args) != 2 {
		return errors.New("give the file of Stride's messages and the directory to write to")
	}
	ts := typesOf(zeros)
	made, err := ts.make(messages)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var own File
	if err := json.Unmarshal(content, &own); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	read, err := ts.read(own)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(args[1], 0o755); err != nil {
		return err
	}
	return errors.Join(write(filepath.Join(args[1], "messages.json"), made), write(filepath.Join(args[1], "understood.json"), read))
}

// make makes messages. Those whose type there is not yet, or that have nothing in them that there is, are left out.
func (ts types) make(all []example) (File, error) {
	f := filler{ts, map[string]bool{}}
	var out File
	for _, e := range all {
		m, ok := ts.empty(e.of)
		if !ok {
			f.lacks[e.of] = true
			continue
		}
		if err := f.message(reflect.ValueOf(m).Elem(), e.fields); err != nil {
			return File{}, fmt.Errorf("%s: %w", e.name, err)
		}
		b, err := m.Marshal()
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", e.name, err)
		}
		if len(b) == 0 && len(e.fields) > 0 {
			continue
		}
		fields, _, err := ts.decode(e.of, b)
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", e.name, err)
		}
		out.Messages = append(out.Messages, Entry{Name: e.name, Type: e.of, Bytes: b, Fields: fields})
	}
	out.Lacks = slices.Sorted(maps.Keys(f.lacks))
	return out, nil
}

// read tells what the version makes of Stride's messages.
func (ts types) read(own File) (File, error) {
	var out File
	for _, e := range own.Messages {
		if _, ok := ts[e.Type]; !ok {
			return File{}, fmt.Errorf("%s: there is no type %s", e.Name, e.Type)
		}
		var err error
		if e.Fields, e.Same, err = ts.decode(e.Type, e.Bytes); err != nil {
			return File{}, fmt.Errorf("%s: %w", e.Name, err)
		}
		out.Messages = append(out.Messages, e)
	}
	return out, nil
}

// decode tells what is in a message, and whether it has the same bytes when it is made again.
func (ts types) decode(of string, b []byte) (fields any, same bool, err error) {
	m, _ := ts.empty(of)
	if err := m.Unmarshal(bytes.Clone(b)); err != nil {
		return nil, false, err
	}
	again, err := m.Marshal()
	return describe(reflect.ValueOf(m)), bytes.Equal(b, again), err
}

func write(path string, f File) error {
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
