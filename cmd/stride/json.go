package main

import (
	"io"

	"github.com/stride-promql/stride/cmd/stride/api"
)

// writeJSON writes a result as the HTTP API of Prometheus answers a query, and a line end.
func writeJSON(w io.Writer, r *result, _ view) error {
	if err := api.WriteResult(w, r.value, r.warnings, r.infos); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
