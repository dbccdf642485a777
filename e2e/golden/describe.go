package golden

import (
	"reflect"
	"strconv"
)

// describe writes a message down: fields by the names of the .proto file, those that are zero left out, texts and bytes as Go writes them
// without the quotes, all numbers as text.
func describe(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return describe(v.Elem())
	case reflect.Struct:
		return describeMessage(v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return quote(string(v.Bytes()))
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = describe(v.Index(i))
		}
		return out
	case reflect.String:
		return quote(v.String())
	case reflect.Bool:
		return v.Bool()
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	default:
		return strconv.FormatInt(v.Int(), 10)
	}
}

func quote(s string) string {
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}

func describeMessage(m reflect.Value) map[string]any {
	out := map[string]any{}
	add := func(f reflect.StructField, v reflect.Value) { out[protoName(f)] = describe(v) }
	for i := range m.NumField() {
		f, v := m.Type().Field(i), m.Field(i)
		switch {
		case !f.IsExported() || v.IsZero():
		case isOneof(f):
			one := v.Elem().Elem()
			add(one.Type().Field(0), one.Field(0))
		default:
			add(f, v)
		}
	}
	return out
}
