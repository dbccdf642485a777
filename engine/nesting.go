package engine

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/logicalplan"
)

// checkNesting refuses a query that is nested beyond maxDepth before it is parsed: what the parser does takes time
// with the square of the depth, minutes for some hundred kilobytes of parentheses or operators. The depth of what
// passes is checked exactly once it is parsed. Here a chain of operators counts by its length, which may be more
// than its depth, so that the limit on it is twice as high.
func checkNesting(text string, maxDepth int) error {
	if maxDepth <= 0 {
		maxDepth = logicalplan.DefaultMaxDepth
	}
	if len(text) <= maxDepth {
		return nil
	}
	depth := 0         // of parentheses
	chains := []int{0} // operators so far, in each pair of parentheses or braces that is open
	lexer := parser.Lex(text)
	for {
		var item parser.Item
		switch lexer.NextItem(&item); item.Typ {
		case parser.EOF, parser.ERROR:
			return nil // the parser says what is wrong
		case parser.LEFT_PAREN, parser.LEFT_BRACE:
			chains = append(chains, 0)
			if item.Typ == parser.LEFT_PAREN {
				depth++
			}
		case parser.RIGHT_PAREN, parser.RIGHT_BRACE:
			if len(chains) > 1 {
				chains = chains[:len(chains)-1]
			}
			if item.Typ == parser.RIGHT_PAREN {
				depth--
			}
		case parser.COMMA:
			chains[len(chains)-1] = 0
		default:
			if item.Typ.IsOperator() {
				chains[len(chains)-1]++
			}
		}
		if depth > maxDepth {
			return fmt.Errorf("expression is nested more than %d deep, which is the limit", maxDepth)
		}
		if chains[len(chains)-1] > 2*maxDepth {
			return fmt.Errorf("expression has more than %d operators in a row, which is the limit", 2*maxDepth)
		}
	}
}
