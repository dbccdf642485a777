package containers

import (
	"fmt"

	"github.com/stride-promql/stride/e2e/observe"
)

// Stride starts a Stride node.
func (e *Environment) Stride(name string, args ...string) *Node {
	e.t.Helper()
	return e.StrideOf("stride", name, Options{}, args...)
}

// StrideOf starts a Stride node of one of the builds, with options.
func (e *Environment) StrideOf(build, name string, o Options, args ...string) *Node {
	e.t.Helper()
	args = append([]string{"serve", fmt.Sprintf("--web.listen-address=:%d", httpPort), fmt.Sprintf("--grpc-address=:%d", grpcPort)}, args...)
	return e.start(name, "/-/ready", o, build, args...)
}

// Prometheus starts a Prometheus server on a data directory, which it writes to.
func (e *Environment) Prometheus(name, dir string, external map[string]string) *Node {
	e.t.Helper()
	config := "global:\n  external_labels:\n"
	for k, v := range external {
		config += fmt.Sprintf("    %s: %q\n", k, v)
	}
	return e.start(name, "/-/ready", Options{}, "prometheus", "--config.file="+e.File(name+".yml", config), "--storage.tsdb.path="+dir,
		fmt.Sprintf("--web.listen-address=:%d", httpPort), "--storage.tsdb.retention.time=100y", "--storage.tsdb.min-block-duration=2h",
		"--storage.tsdb.max-block-duration=2h", "--log.level=warn")
}

// Sidecar starts a Thanos sidecar of a Prometheus server.
func (e *Environment) Sidecar(name string, of *Node, dir string) *Node {
	e.t.Helper()
	return e.thanos(name, Options{}, "sidecar", "--prometheus.url="+of.Web(), "--prometheus.get_config_interval=1s", "--tsdb.path="+dir)
}

// Bucket makes an object storage in a directory, and returns the configuration of those who use it.
func (e *Environment) Bucket(name string) (config string) {
	e.t.Helper()
	return e.File(name+".yml", fmt.Sprintf("type: FILESYSTEM\nconfig:\n  directory: %q\n", e.Dir(name)))
}

// Upload puts the blocks of a directory into a bucket, with external labels.
func (e *Environment) Upload(bucket, dir string, external map[string]string) {
	e.t.Helper()
	args := []string{"tools", "bucket", "upload-blocks", "--path=" + dir, "--objstore.config-file=" + bucket}
	for k, v := range external {
		args = append(args, fmt.Sprintf("--label=%s=%q", k, v))
	}
	Thanos(e.t, args...)
}

// StoreGateway starts a Thanos store gateway on a bucket.
func (e *Environment) StoreGateway(name, bucket string, args ...string) *Node {
	e.t.Helper()
	return e.thanos(name, Options{}, "store", append([]string{"--objstore.config-file=" + bucket, "--data-dir=" + e.Dir(name)}, args...)...)
}

// Receiver starts a Thanos receiver that keeps what it is sent, a TSDB for each tenant.
func (e *Environment) Receiver(name string, args ...string) *Node {
	e.t.Helper()
	return e.thanos(name, Options{}, "receive", append([]string{
		"--tsdb.path=" + e.Dir(name), fmt.Sprintf("--remote-write.address=:%d", writePort), fmt.Sprintf("--label=receiver=%q", name), "--tsdb.retention=36500d", "--tsdb.enable-native-histograms",
	}, args...)...)
}

// ThanosQuery starts a Thanos querier and waits until it knows all of its endpoints: it says that it is ready before.
func (e *Environment) ThanosQuery(name string, endpoints []*Node, args ...string) *Node {
	e.t.Helper()
	return e.ThanosQueryOf(name, Options{}, endpoints, args...)
}

// ThanosQueryOf is ThanosQuery with options.
func (e *Environment) ThanosQueryOf(name string, o Options, endpoints []*Node, args ...string) *Node {
	e.t.Helper()
	n := e.thanos(name, o, "query", append(append(Endpoints(endpoints...), "--query.replica-label=replica"), args...)...)
	n.WaitFor("/metrics", observe.ThanosKnows(len(endpoints)))
	return n
}

func (e *Environment) thanos(name string, o Options, command string, args ...string) *Node {
	e.t.Helper()
	args = append([]string{command, fmt.Sprintf("--http-address=:%d", httpPort), fmt.Sprintf("--grpc-address=:%d", grpcPort), "--log.level=warn"}, args...)
	return e.start(name, "/-/ready", o, "thanos", args...)
}

// Endpoints are the flags by which a node asks others.
func Endpoints(nodes ...*Node) (flags []string) {
	for _, n := range nodes {
		flags = append(flags, "--endpoint="+n.GRPC())
	}
	return flags
}

// Proxy starts a proxy in front of a node's gRPC port, which delays what passes and limits how much of it does.
func (e *Environment) Proxy(name string, to *Node, args ...string) *Node {
	e.t.Helper()
	args = append([]string{fmt.Sprintf("--listen=:%d", grpcPort), fmt.Sprintf("--admin=:%d", httpPort), "--to=" + to.GRPC()}, args...)
	return e.start(name, "/-/ready", Options{}, "proxy", args...)
}
