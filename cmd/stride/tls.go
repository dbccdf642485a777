package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/config"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// serverTLS is how connections that come are secured: by files as Prometheus' servers and exporters have them.
type serverTLS struct{ http, grpc string }

func (f *serverTLS) register(cmd *kingpin.CmdClause) {
	cmd.Flag("web.config.file", "File with TLS, users and headers of --web.listen-address, as Prometheus has it. It is read again for new connections.").StringVar(&f.http)
	cmd.Flag("grpc.config.file", "File of the same form, whose tls_server_config is that of --grpc-address; client_auth_type RequireAndVerifyClientCert is mTLS.").StringVar(&f.grpc)
}

// options are those of the gRPC server.
func (f *serverTLS) options() ([]grpc.ServerOption, error) {
	if err := web.Validate(f.http); err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--web.config.file %s: %w", f.http, err))
	}
	if f.grpc == "" {
		return nil, nil
	}
	first, err := readTLS(f.grpc)
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--grpc.config.file %s: %w", f.grpc, err))
	}
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		again, err := readTLS(f.grpc)
		if err != nil {
			return nil, err
		}
		again.NextProtos = []string{"h2"}
		return again, nil
	}
	return []grpc.ServerOption{grpc.Creds(credentials.NewTLS(first))}, nil
}

// readTLS reads the tls_server_config of a file.
func readTLS(path string) (*tls.Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := web.Config{TLSConfig: web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}}
	d := yaml.NewDecoder(bytes.NewReader(content))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return nil, err
	}
	if len(c.Users) > 0 {
		return nil, errors.New("basic_auth_users are for HTTP only: use client certificates")
	}
	c.TLSConfig.SetDirectory(filepath.Dir(path))
	return web.ConfigToTLSConfig(&c.TLSConfig)
}

// clientTLS is how connections to other nodes are secured; flags are Thanos'.
type clientTLS struct {
	secure     bool
	skipVerify bool
	cert, key  string
	ca, name   string
}

func (f *clientTLS) register(cmd *kingpin.CmdClause) {
	cmd.Flag("grpc-client-tls-secure", "Use TLS towards other nodes.").BoolVar(&f.secure)
	cmd.Flag("grpc-client-tls-skip-verify", "Do not verify the certificates of other nodes.").BoolVar(&f.skipVerify)
	cmd.Flag("grpc-client-tls-cert", "File with the certificate for other nodes.").StringVar(&f.cert)
	cmd.Flag("grpc-client-tls-key", "File with the key of that certificate.").StringVar(&f.key)
	cmd.Flag("grpc-client-tls-ca", "File with the certificates of authorities to verify other nodes by; default: the system's.").StringVar(&f.ca)
	cmd.Flag("grpc-client-server-name", "Name that the certificates of other nodes must have; default: the one they are asked by.").StringVar(&f.name)
}

// options are those of connections.
func (f *clientTLS) options() ([]grpc.DialOption, error) {
	if !f.secure {
		if f.cert+f.key+f.ca+f.name != "" || f.skipVerify {
			return nil, withCode(exitUsage, errors.New("the flags --grpc-client-tls-... and --grpc-client-server-name need --grpc-client-tls-secure"))
		}
		return nil, nil
	}
	c, err := config.NewTLSConfig(&config.TLSConfig{CAFile: f.ca, CertFile: f.cert, KeyFile: f.key, ServerName: f.name, InsecureSkipVerify: f.skipVerify})
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--grpc-client-tls-...: %w", err))
	}
	return []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(c))}, nil
}
