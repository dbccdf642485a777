package function

// IsDate tells whether a PromQL function is one of the date functions, of zero or one argument.
func IsDate(name string) bool { return dateParts[name] != nil }
