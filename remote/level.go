package remote

import (
	"strconv"
	"strings"
)

// Level is a language level as a number, so that levels compare: "3.16" is 3016. What is no level is 0, the oldest.
func Level(s string) int {
	major, minor, ok := strings.Cut(s, ".")
	x, err1 := strconv.Atoi(major)
	y, err2 := strconv.Atoi(minor)
	if !ok || err1 != nil || err2 != nil {
		return 0
	}
	return x*1000 + y
}
