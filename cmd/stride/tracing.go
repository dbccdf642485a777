package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stride-promql/stride/cmd/stride/tracing"
)

// tracingFlags say where traces are sent. They are Thanos'.
type tracingFlags struct{ file, text string }

// tracingText is the flag that may hold passwords.
const tracingText = "tracing.config"

func (f *tracingFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("tracing.config-file", "YAML file that says where to send traces, in Thanos' form, of type OTLP. Without it the environment variables of OpenTelemetry count, "+
		"such as OTEL_EXPORTER_OTLP_ENDPOINT.").PlaceHolder("FILE").StringVar(&f.file)
	cmd.Flag(tracingText, "What would stand in --tracing.config-file.").PlaceHolder("YAML").StringVar(&f.text)
}

func (f *tracingFlags) config() (*tracing.Config, error) {
	text := []byte(f.text)
	switch {
	case f.file != "" && f.text != "":
		return nil, withCode(exitUsage, errors.New("--tracing.config-file and --tracing.config exclude each other"))
	case f.file != "":
		var err error
		if text, err = os.ReadFile(f.file); err != nil {
			return nil, withCode(exitUsage, fmt.Errorf("--tracing.config-file: %w", err))
		}
	case f.text == "":
		c, err := tracing.FromEnvironment()
		return c, withCode(exitUsage, err)
	}
	c, err := tracing.Parse(text)
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--tracing.config: %w", err))
	}
	return c, nil
}
