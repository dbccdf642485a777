// Package exchange holds the operators that change how series are laid out, not their values:
// merging series with equal labels, and repeating what does not depend on the step.
package exchange
