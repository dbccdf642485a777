package run

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stride-promql/stride/bench/peer"
)

// process is a running peer program.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	alive bool
}

// maxAnswer is the longest line that a program may send.
const maxAnswer = 1 << 20

// start starts a program, on the given cores only if there are any.
func start(file string, cpus []int) (*process, error) {
	p := &process{cmd: exec.Command(file)}
	// The same for all, whatever the environment says.
	p.cmd.Env = append(os.Environ(), "GOGC=100", "GOMEMLIMIT=off", "GODEBUG=", "GOTRACEBACK=single")
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(out, maxAnswer)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.alive = true
	if len(cpus) > 0 {
		var set unix.CPUSet
		for _, c := range cpus {
			set.Set(c)
		}
		if err := unix.SchedSetaffinity(p.cmd.Process.Pid, &set); err != nil {
			p.kill()
			return nil, fmt.Errorf("pin to cores %v: %w", cpus, err)
		}
	}
	return p, nil
}

// errDied says that a program has ended on its own.
type errDied struct{ err error }

func (e errDied) Error() string { return fmt.Sprintf("the program died: %v", e.err) }

// ask sends a request and waits for the answer. A program that takes twice its timeout is ended.
func (p *process) ask(req peer.Request) (*peer.Response, error) {
	if !p.alive {
		return nil, errDied{io.ErrClosedPipe}
	}
	if req.Timeout > 0 {
		t := time.AfterFunc(2*req.Timeout+req.Duration, func() { _ = p.cmd.Process.Kill() })
		defer t.Stop()
	}
	b, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return nil, p.died(err)
	}
	line, err := p.out.ReadSlice('\n')
	if err != nil {
		return nil, p.died(err)
	}
	resp := &peer.Response{}
	if err := json.Unmarshal(line, resp); err != nil {
		return nil, p.died(fmt.Errorf("answer %q: %w", strings.TrimSpace(string(line)), err))
	}
	return resp, nil
}

func (p *process) died(err error) error {
	p.kill()
	return errDied{err}
}

// close asks the program to end, and makes it.
func (p *process) close() {
	if p.alive {
		_, _ = p.ask(peer.Request{Op: peer.Close, Timeout: 10 * time.Second})
	}
	p.kill()
}

func (p *process) kill() {
	if p.cmd.Process != nil && p.cmd.ProcessState == nil {
		_ = p.in.Close()
		if p.alive {
			_ = p.cmd.Process.Kill()
		}
		_ = p.cmd.Wait()
	}
	p.alive = false
}
