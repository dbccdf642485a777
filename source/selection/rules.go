// Package selection chooses, of the data sets that a source holds, those whose external labels rules keep: exactly these, on whatever way
// they are read.
package selection

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// Rules are relabeling rules that keep or drop data sets by their external labels. None keep all.
type Rules struct{ configs []*relabel.Config }

// reference is a variable of the environment, as Thanos has them in its configuration.
var reference = regexp.MustCompile(`\$\(([a-zA-Z_][a-zA-Z_0-9]*)\)`)

// Parse reads a list of rules in YAML. Actions are keep, drop and hashmod, as in Thanos; $(NAME) is a variable of the environment.
func Parse(content []byte) (*Rules, error) {
	var missing error
	content = reference.ReplaceAllFunc(content, func(ref []byte) []byte {
		name := string(reference.FindSubmatch(ref)[1])
		value, ok := os.LookupEnv(name)
		if !ok {
			missing = errors.Join(missing, fmt.Errorf("there is no variable %s in the environment", name))
		}
		return []byte(value)
	})
	if missing != nil {
		return nil, missing
	}
	r := &Rules{}
	d := yaml.NewDecoder(bytes.NewReader(content))
	d.KnownFields(true)
	if err := d.Decode(&r.configs); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for i, c := range r.configs {
		if c == nil {
			return nil, fmt.Errorf("rule %d is empty", i+1)
		}
		switch c.Action {
		case relabel.Keep, relabel.Drop, relabel.HashMod:
		default:
			return nil, fmt.Errorf("rule %d: the action %q cannot choose data sets: use keep, drop or hashmod", i+1, c.Action)
		}
		if err := c.Validate(model.UTF8Validation); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return r, nil
}

// none tells whether there are no rules.
func (r *Rules) none() bool { return r == nil || len(r.configs) == 0 }

// Keeps tells whether a data set with these external labels, replica labels among them, is chosen.
func (r *Rules) Keeps(external labels.Labels) bool {
	return r.none() || relabel.ProcessBuilder(labels.NewBuilder(external), r.configs...)
}
