// Package containers runs Stride, Prometheus and Thanos as containers on a network of their own: every node has its own address, and can be
// paused, killed, or cut off.
//
// Nothing is pulled: there is one image, of static binaries and nothing else, which is made anew when one of them changes.
package containers

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// programs are in the image, below /bin.
var programs = []string{"stride", "stride-olderplan", "proxy", "prometheus", "thanos"}

// Program is the path of one of them on this machine.
func Program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"e2e", "peers"} {
		path := cache(t, dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not in .cache/e2e or .cache/peers: make e2e builds it", name)
	return ""
}

// Thanos runs a tool of Thanos' to its end.
func Thanos(t testing.TB, args ...string) {
	t.Helper()
	run(t, Program(t, "thanos"), args...)
}

var image struct {
	sync.Mutex
	name string
}

// imageOf makes the image of the programs, if it is not there.
func imageOf(t testing.TB) string {
	t.Helper()
	image.Lock()
	defer image.Unlock()
	if image.name != "" {
		return image.name
	}
	if out, err := exec.Command("docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput(); err != nil {
		t.Fatalf("these tests need Docker: a docker command, and an engine that it may use. It says: %s", out)
	}
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "bin"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(root, "tmp"), 0o777))
	require.NoError(t, os.Chmod(filepath.Join(root, "tmp"), 0o1777))
	hash := sha256.New()
	for _, p := range programs {
		func() {
			from, err := os.Open(Program(t, p))
			require.NoError(t, err)
			defer from.Close()
			to, err := os.OpenFile(filepath.Join(root, "bin", p), os.O_CREATE|os.O_WRONLY, 0o755)
			require.NoError(t, err)
			defer to.Close()
			_, err = io.Copy(io.MultiWriter(to, hash), from)
			require.NoError(t, err)
		}()
	}
	repository := "stride-e2e-" + checkout(t)
	name := fmt.Sprintf("%s:%x", repository, hash.Sum(nil)[:8])
	if exec.Command("docker", "image", "inspect", name).Run() != nil {
		for _, old := range strings.Fields(run(t, "docker", "images", "-q", repository)) {
			_ = exec.Command("docker", "rmi", old).Run() // one that is in use stays
		}
		tar := exec.Command("tar", "-C", root, "-c", "--owner=0", "--group=0", "bin", "tmp")
		load := exec.Command("docker", "import", "--change", "ENV PATH=/bin", "-", name)
		pipe, err := tar.StdoutPipe()
		require.NoError(t, err)
		load.Stdin = pipe
		require.NoError(t, tar.Start())
		out, err := load.CombinedOutput()
		require.NoError(t, err, string(out))
		require.NoError(t, tar.Wait())
	}
	image.name = name
	return name
}

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", filepath.Base(program), strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}
