package run

import (
	"os/exec"
	"runtime"

	"github.com/efficientgo/core/errors"
	"golang.org/x/sys/unix"
)

// checkCores fails for cores that this process cannot use, of which the system would only make use of fewer.
func checkCores(cores []int) error {
	var ours unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil {
		return errors.Wrap(err, "look at cores")
	}
	for _, c := range cores {
		if !ours.IsSet(c) {
			return errors.Newf("there is no core %d to pin programs to: cores count from 0, and %d can be used", c, ours.Count())
		}
	}
	return nil
}

// startOn starts a command that runs on the given cores only. It inherits them from the thread that starts it: a Go program that
// is told later, or tells itself, already has other threads.
func startOn(cmd *exec.Cmd, cores []int) error {
	if len(cores) == 0 {
		return cmd.Start()
	}
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		var set unix.CPUSet
		for _, c := range cores {
			set.Set(c)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			done <- errors.Wrapf(err, "pin to cores %v", cores)
			return
		}
		done <- cmd.Start()
	}()
	return <-done
}
