package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs certificates, which it writes into a directory with their keys.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue writes name.crt and name.key.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	a.write(t, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	a.write(t, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
	return cert, key
}

func (a *authority) write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(a.path(name), []byte(content), 0o600))
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"leaf"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	a.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	secured := "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
	a.write(t, "web.yml", secured)
	a.write(t, "grpc.yml", secured+"  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n")
	leaf := serve(t, sampleDir(t), "--web.config.file", a.path("web.yml"), "--grpc.config.file", a.path("grpc.yml"))

	t.Run("users", func(t *testing.T) {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
		transport.TLSClientConfig.RootCAs.AddCert(a.cert)
		res, err := (&http.Client{Transport: transport}).Get(strings.Replace(leaf.url, "http://", "https://", 1) + "/-/ready")
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, "Stride is Ready.\n", string(body))
	})
	for _, tc := range []struct {
		name  string
		flags []string
		fails string
	}{
		{"nodes", []string{"--grpc-client-tls-secure", "--grpc-client-tls-ca", a.path("ca.crt"), "--grpc-client-tls-cert", a.path("client.crt"), "--grpc-client-tls-key", a.path("client.key")}, ""},
		{"another name", []string{"--grpc-client-tls-secure", "--grpc-client-tls-ca", a.path("ca.crt"), "--grpc-client-server-name=leaf", "--grpc-client-tls-cert", a.path("client.crt"), "--grpc-client-tls-key", a.path("client.key")}, ""},
		{"wrong name", []string{"--grpc-client-tls-secure", "--grpc-client-tls-ca", a.path("ca.crt"), "--grpc-client-server-name=root", "--grpc-client-tls-cert", a.path("client.crt"), "--grpc-client-tls-key", a.path("client.key")}, "certificate is valid for leaf, not root"},
		{"no certificate", []string{"--grpc-client-tls-secure", "--grpc-client-tls-ca", a.path("ca.crt")}, leaf.nodes},
		{"no TLS", nil, leaf.nodes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := serveArgs(t, append(tc.flags, "--endpoint="+leaf.nodes, "--no-query.partial-response", "--endpoint.info-timeout=500ms")...)
			status, body := root.get(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd)
			if tc.fails == "" {
				require.Equal(t, 200, status, body)
				require.Contains(t, body, `"value":[`)
				return
			}
			require.NotEqual(t, 200, status)
			require.Contains(t, body, tc.fails)
		})
	}
}

func TestTLSFlags(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yml")
	require.NoError(t, os.WriteFile(bad, []byte("tls_server_config:\n  cert_file: none\n  key_file: none\n"), 0o600))
	users := filepath.Join(dir, "users.yml")
	require.NoError(t, os.WriteFile(users, []byte("basic_auth_users:\n  me: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n"), 0o600))
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--web.config.file", bad}, "--web.config.file"},
		{[]string{"--grpc.config.file", bad}, "--grpc.config.file"},
		{[]string{"--grpc.config.file", users}, "use client certificates"},
		{[]string{"--grpc.config.file", filepath.Join(dir, "none")}, "no such file"},
		{[]string{"--endpoint=x:1", "--grpc-client-tls-ca=x"}, "need --grpc-client-tls-secure"},
		{[]string{"--endpoint=x:1", "--grpc-client-tls-secure", "--grpc-client-tls-ca=" + filepath.Join(dir, "none")}, "no such file"},
	} {
		got := stride(t, append([]string{"serve", "--web.listen-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"}, tc.args...)...)
		require.Equal(t, exitUsage, got.code, got.stderr)
		require.Contains(t, got.stderr, tc.want)
	}
}
