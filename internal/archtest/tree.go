// Package archtest checks rules that hold for the tree as a whole: which package may import which,
// what product code never calls, and that what is exported is documented.
package archtest

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

const module = "github.com/stride-promql/stride"

// file is a Go file of the module.
type file struct {
	path   string // slash-separated, from the root of the module
	pkg    string // the package's path in the module, "" for the root
	test   bool
	syntax *ast.File
}

// imports are the paths of what the file imports.
func (f *file) imports() []string {
	var out []string
	for _, i := range f.syntax.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// readTree parses all Go files of the module at root. Modules within it are not part of it.
func readTree(root string) (*token.FileSet, []*file, error) {
	fset := token.NewFileSet()
	var files []*file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel == "." {
				return nil
			}
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			base := d.Name()
			if err == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		syntax, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := path.Dir(rel)
		if pkg == "." {
			pkg = ""
		}
		files = append(files, &file{path: rel, pkg: pkg, test: strings.HasSuffix(rel, "_test.go"), syntax: syntax})
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("no Go file in " + root)
	}
	return fset, files, err
}
