package main

import (
	"context"

	"github.com/alecthomas/kingpin/v2"
)

func addReport(*kingpin.CmdClause) func(context.Context) error  { return nil }
func addCompare(*kingpin.CmdClause) func(context.Context) error { return nil }
func addProfile(*kingpin.CmdClause) func(context.Context) error { return nil }
