package containers

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used.
type Usage struct {
	// CPU is the time it ran, in user and in system mode.
	CPU time.Duration
	// Peak is the most memory that was resident since it was reset, Resident what is now, in bytes.
	Peak, Resident int64
}

// UsageOf reads what a process of this machine has used.
func UsageOf(pid int) (u Usage, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmHWM:":
			u.Peak = kib << 10
		case "VmRSS:":
			u.Resident = kib << 10
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The name of the program is in parentheses and may hold anything; utime and stime are the 14th and 15th fields.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, err
		}
		ticks += n
	}
	u.CPU = time.Duration(ticks) * time.Second / clockTicks
	return u, nil
}

// clockTicks is USER_HZ, which is 100 on all of Linux.
const clockTicks = 100

// Received are the bytes that have arrived at the network of a process of this machine.
func Received(pid int) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		name, counts, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "eth0" {
			return strconv.ParseInt(strings.Fields(counts)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("process %d has no network", pid)
}
