package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
)

// standardMethods say the same thing everywhere.
var standardMethods = map[string]bool{"String": true, "Error": true, "Unwrap": true}

// undocumented are the exported names in the files of a package that have no doc comment. One comment may
// stand for a group of constants or variables. A method needs none if it is one of an interface of the package,
// where it is documented, so that the many small methods of plan nodes stay one line each.
func undocumented(files []*ast.File) []*ast.Ident {
	var out []*ast.Ident
	known := map[string]bool{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			i, ok := n.(*ast.InterfaceType)
			if !ok {
				return true
			}
			for _, m := range i.Methods.List {
				for _, name := range m.Names {
					known[name.Name] = known[name.Name] || m.Doc != nil
				}
			}
			return true
		})
	}
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				byInterface := d.Recv != nil && (known[d.Name.Name] || standardMethods[d.Name.Name])
				if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !byInterface {
					out = append(out, d.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if name := undocumentedSpec(d, s); name != nil {
						out = append(out, name)
					}
				}
			}
		}
	}
	return out
}

func undocumentedSpec(d *ast.GenDecl, s ast.Spec) *ast.Ident {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if d.Doc == nil && s.Doc == nil && s.Name.IsExported() {
			return s.Name
		}
	case *ast.ValueSpec:
		if d.Doc != nil || s.Doc != nil || s.Comment != nil {
			return nil
		}
		for _, n := range s.Names {
			if n.IsExported() {
				return n
			}
		}
	}
	return nil
}

// exportedReceiver tells whether d is a function, or a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return false
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	fset, files, err := readTree("../..")
	require.NoError(t, err)
	packages := map[string][]*ast.File{}
	documented := map[string]bool{}
	for _, f := range files {
		if f.test {
			continue
		}
		documented[f.pkg] = documented[f.pkg] || f.syntax.Doc != nil
		// What is generated is documented in what it is generated from.
		if files := packages[f.pkg]; ast.IsGenerated(f.syntax) {
			packages[f.pkg] = files
		} else {
			packages[f.pkg] = append(files, f.syntax)
		}
	}
	for pkg, files := range packages {
		if !documented[pkg] {
			t.Errorf("package %s has no doc comment", pkg)
		}
		for _, name := range undocumented(files) {
			t.Errorf("%s: %s has no doc comment", fset.Position(name.Pos()), name.Name)
		}
	}
}

func TestUndocumented(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "", `package p
type A struct{}
// B is documented.
type B interface {
	// Documented is.
	Documented()
	Bare()
}
func (A) Documented() {}
func (A) Bare() {}
func (A) String() string { return "" }
func (a) Hidden() {}
func F() {}
// These are.
const (
	C = 1
	D = 2
)
var E, g = 1, 2
`, parser.ParseComments)
	require.NoError(t, err)
	var got []string
	for _, name := range undocumented([]*ast.File{f}) {
		got = append(got, name.Name)
	}
	require.Equal(t, []string{"A", "Bare", "F", "E"}, got)
}
