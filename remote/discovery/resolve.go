package discovery

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// errNoAddress is that of a name that is there. Whether nothing is to be there, or something is lost, it does not say, and most resolvers do not tell
// it from a name that is not there.
var errNoAddress = errors.New("the name has no addresses")

// resolve gives the addresses that an endpoint stands for, sorted. None is an error.
func resolve(ctx context.Context, r Resolver, address string) ([]string, error) {
	var out []string
	switch {
	case strings.HasPrefix(address, dnsSRVPrefix):
		_, records, err := r.LookupSRV(ctx, "", "", strings.TrimPrefix(address, dnsSRVPrefix))
		if err != nil {
			return nil, err
		}
		for _, s := range records {
			out = append(out, net.JoinHostPort(strings.TrimSuffix(s.Target, "."), strconv.Itoa(int(s.Port))))
		}
	case strings.HasPrefix(address, dnsPrefix):
		host, port, err := net.SplitHostPort(strings.TrimPrefix(address, dnsPrefix))
		if err != nil {
			return nil, err
		}
		hosts, err := r.LookupHost(ctx, host)
		if err != nil {
			return nil, err
		}
		for _, h := range hosts {
			out = append(out, net.JoinHostPort(h, port))
		}
	default:
		return []string{address}, nil
	}
	if len(out) == 0 {
		return nil, errNoAddress
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
