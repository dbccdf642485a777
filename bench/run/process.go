package run

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/peer"
)

// process is a running peer program.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	tmp   string // its os.TempDir
	alive bool
}

// maxAnswer is the longest line that a program may send.
const maxAnswer = 1 << 20

// start starts a program, on the given cores only if there are any. It ends with the context. Its temporary files go into the
// cache, and go when it has ended.
func start(ctx context.Context, file, cache string, cores []int) (_ *process, err error) {
	p := &process{cmd: exec.CommandContext(ctx, file)}
	if p.tmp, err = os.MkdirTemp(cache, tmpPrefix+"peer-"); err != nil {
		return nil, errors.Wrap(err, "make a temporary directory")
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(p.tmp)
		}
	}()
	// The same for all, whatever the environment says.
	p.cmd.Env = append(os.Environ(), "GOGC=100", "GOMEMLIMIT=off", "GODEBUG=", "GOTRACEBACK=single", "TMPDIR="+p.tmp)
	p.cmd.Stderr = os.Stderr
	// Ctrl-C is for the harness, which ends its programs.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(out, maxAnswer)
	if err := startOn(p.cmd, cores); err != nil {
		return nil, err
	}
	p.alive = true
	return p, nil
}

// errLate says that a program was ended because it took too long.
var errLate = errors.New("ended after twice the time it had")

// ask sends a request and waits for the answer. A program that takes twice its timeout is ended.
func (p *process) ask(req peer.Request) (*peer.Response, error) {
	if !p.alive {
		return nil, errors.New("the program has ended")
	}
	var late atomic.Bool
	if req.Timeout > 0 {
		t := time.AfterFunc(2*req.Timeout+req.Duration, func() {
			late.Store(true)
			_ = p.cmd.Process.Kill()
		})
		defer t.Stop()
	}
	resp, err := p.exchange(req)
	if err == nil {
		return resp, nil
	}
	state := p.end()
	if late.Load() {
		return nil, errLate
	}
	return nil, errors.Wrapf(err, "the program died (%s)", state)
}

func (p *process) exchange(req peer.Request) (*peer.Response, error) {
	b, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return nil, err
	}
	line, err := p.out.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	resp := &peer.Response{}
	if err := json.Unmarshal(line, resp); err != nil {
		return nil, errors.Wrapf(err, "answer %q", strings.TrimSpace(string(line)))
	}
	return resp, nil
}

// grace is the time that a program has to end once nobody talks to it.
const grace = 5 * time.Second

// close asks the program to close its data and end, and makes it end.
func (p *process) close() {
	if p.alive {
		_, _ = p.ask(peer.Request{Op: peer.Close, Timeout: grace})
	}
	p.end()
}

// end waits for the program's end, brings it about if it does not come, removes what the program leaves, and says how it ended.
func (p *process) end() string {
	if p.cmd.ProcessState == nil {
		_ = p.in.Close()
		t := time.AfterFunc(grace, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait() // The state says more.
		t.Stop()
	}
	p.alive = false
	_ = os.RemoveAll(p.tmp)
	return p.cmd.ProcessState.String()
}
