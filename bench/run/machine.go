package run

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/efficientgo/core/errors"
	"golang.org/x/sys/unix"

	"github.com/stride-promql/stride/bench/record"
)

// thisMachine is what the run runs on. cores are those that engines may use.
func thisMachine(cores int) record.Machine {
	m := record.Machine{CPU: runtime.GOARCH, Cores: cores}
	if v := field("/proc/cpuinfo", "model name"); v != "" {
		m.CPU = v
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryBytes = int64(info.Totalram) * int64(info.Unit)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(b), &m.LoadAverage)
	}
	return m
}

// field is the value of the first line "name : value" of a file.
func field(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// sum identifies a program.
func sum(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", errors.Wrap(err, "read program")
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8]), nil
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:10])
}
