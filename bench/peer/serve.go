package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// Serve runs the program until the harness closes it, and exits with status 1 when the conversation fails.
func Serve(e Engine) {
	if err := serve(e, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// maxLine is the longest request.
const maxLine = 1 << 20

func serve(e Engine, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	enc := json.NewEncoder(out)
	s := &session{engine: e}
	for lines.Scan() {
		var req Request
		if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
			return fmt.Errorf("request %q: %w", lines.Text(), err)
		}
		resp := s.answer(req)
		// Nothing is left to do for the collector while it is another program's turn, nor in the next execution.
		runtime.GC()
		if err := enc.Encode(resp); err != nil {
			return err
		}
		if req.Op == Close {
			return nil
		}
	}
	// The harness has gone without a word.
	if s.open {
		return errors.Join(lines.Err(), e.Close())
	}
	return lines.Err()
}

// session is the state between requests.
type session struct {
	engine Engine
	query  Query
	open   bool
}

func (s *session) answer(req Request) (resp Response) {
	defer func() {
		if p := recover(); p != nil {
			resp = Response{Error: fmt.Sprintf("panic: %v", p)}
		}
	}()
	start := time.Now()
	if err := s.do(req, &resp); err != nil {
		resp = Response{Error: err.Error(), Timeout: req.Timeout > 0 && time.Since(start) >= req.Timeout}
	}
	return resp
}

func (s *session) do(req Request, resp *Response) error {
	if !s.open && req.Op != Open && req.Op != Close {
		return errors.New("nothing is open yet: the first request must be open")
	}
	switch req.Op {
	case Open:
		if req.Query == nil {
			return errors.New("open needs a query")
		}
		if req.Workers > 0 {
			runtime.GOMAXPROCS(req.Workers)
		}
		if err := s.engine.Open(req.Dir, max(1, req.Workers)); err != nil {
			return err
		}
		s.query, s.open = *req.Query, true
		return nil
	case Check:
		return s.check(req)
	case Run:
		m, r, err := measureTime(s.engine, s.query, req.Timeout)
		if err != nil {
			return err
		}
		defer r.Close()
		resp.Sample = &m
		if d, ok := r.(Decoder); ok {
			resp.Decoded = d.Decoded()
		}
		return nil
	case Memory:
		m, err := measureMemory(s.engine, s.query, req.Timeout)
		resp.Sample = &m
		return err
	case Profile:
		return profile(s.engine, s.query, req.File, req.Duration, req.Timeout, req.Trace)
	case Close:
		if !s.open {
			return nil
		}
		s.open = false
		return s.engine.Close()
	}
	return fmt.Errorf("unknown operation %q", req.Op)
}

func (s *session) check(req Request) error {
	r, err := execute(s.engine, s.query, req.Timeout)
	if err != nil {
		return err
	}
	defer r.Close()
	a, err := r.Answer()
	if err != nil {
		return err
	}
	return WriteAnswer(req.File, a)
}
