package containers

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// cache is where programs are built, and where environments have their directories.
func cache(t testing.TB, below ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "..", ".cache"}, below...)...))
	require.NoError(t, err)
	return path
}

// checkout tells this checkout of the repository from others on the machine, so that each has containers, networks and images of its own.
func checkout(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("%x", sha256.Sum256([]byte(cache(t))))[:4]
}

var running struct {
	sync.Mutex
	lock *os.File
}

// alone fails the test if another process runs containers of this checkout: either would remove those of the other one as left-overs.
func alone(t testing.TB) {
	t.Helper()
	running.Lock()
	defer running.Unlock()
	if running.lock != nil {
		return
	}
	f, err := os.OpenFile(cache(t, "e2e", "lock"), os.O_CREATE|os.O_RDWR, 0o666)
	require.NoError(t, err)
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		t.Fatalf("another process runs containers of this checkout: wait for its end")
	}
	running.lock = f // until the process ends
}
