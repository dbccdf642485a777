package golden

import (
	"fmt"
	"reflect"
	"strings"
)

// Message is a pointer to one of Thanos' structs, as gogo/protobuf makes them.
type Message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// Fields are those of a message, by their names in the .proto file: numbers, strings, bools, floats, bytes, other Fields, slices of these, and
// packed.
type Fields map[string]any

// packed is the value of a google.protobuf.Any: a message of a type.
type packed struct {
	of     string
	fields Fields
}

// types are messages by the names that Go has for them, such as storepb.Series.
type types map[string]reflect.Type

func typesOf(zeros []Message) types {
	ts := types{}
	for _, m := range zeros {
		t := reflect.TypeOf(m).Elem()
		ts[t.String()] = t
	}
	return ts
}

func (ts types) empty(name string) (Message, bool) {
	t, ok := ts[name]
	if !ok {
		return nil, false
	}
	return reflect.New(t).Interface().(Message), true
}

// protoName is the name that a struct's field has in the .proto file. Structs that are not generated have those of Go.
func protoName(f reflect.StructField) string {
	for part := range strings.SplitSeq(f.Tag.Get("protobuf"), ",") {
		if name, ok := strings.CutPrefix(part, "name="); ok {
			return name
		}
	}
	return strings.ToLower(f.Name)
}

// cases are the structs of which each holds one field of a oneof of the message.
func cases(m reflect.Value) []reflect.Type {
	of, ok := m.Addr().Interface().(interface{ XXX_OneofWrappers() []any })
	if !ok {
		return nil
	}
	var out []reflect.Type
	for _, c := range of.XXX_OneofWrappers() {
		out = append(out, reflect.TypeOf(c).Elem())
	}
	return out
}

func isOneof(f reflect.StructField) bool { return f.Tag.Get("protobuf_oneof") != "" }

// field finds a message's field, and makes room for it if it is one of a oneof.
func field(m reflect.Value, name string) (reflect.Value, bool) {
	for i := range m.NumField() {
		if f := m.Type().Field(i); f.IsExported() && !isOneof(f) && protoName(f) == name {
			return m.Field(i), true
		}
	}
	for _, c := range cases(m) {
		if protoName(c.Field(0)) != name {
			continue
		}
		for i := range m.NumField() {
			if f := m.Type().Field(i); isOneof(f) && reflect.PointerTo(c).Implements(f.Type) {
				one := reflect.New(c)
				m.Field(i).Set(one)
				return one.Elem().Field(0), true
			}
		}
	}
	return reflect.Value{}, false
}

// filler fills messages, and notes which fields they do not have.
type filler struct {
	types types
	lacks map[string]bool
}

func (f *filler) message(m reflect.Value, fields Fields) error {
	for name, value := range fields {
		to, ok := field(m, name)
		if !ok {
			f.lacks[m.Type().String()+"."+name] = true
			continue
		}
		if err := f.value(to, value); err != nil {
			return fmt.Errorf("%s.%s: %w", m.Type(), name, err)
		}
	}
	return nil
}

func (f *filler) value(to reflect.Value, v any) error {
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	switch v := v.(type) {
	case Fields:
		return f.message(to, v)
	case packed:
		return f.pack(to, v)
	case []byte:
		to.SetBytes(v)
		return nil
	}
	from := reflect.ValueOf(v)
	if from.Kind() == reflect.Slice {
		to.Set(reflect.MakeSlice(to.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			if err := f.value(to.Index(i), from.Index(i).Interface()); err != nil {
				return err
			}
		}
		return nil
	}
	if !from.CanConvert(to.Type()) || (from.Kind() == reflect.String) != (to.Kind() == reflect.String) {
		return fmt.Errorf("a %s is no %s", from.Type(), to.Type())
	}
	to.Set(from.Convert(to.Type()))
	return nil
}

// pack fills a google.protobuf.Any. One of a type that there is not yet has nothing in it.
func (f *filler) pack(to reflect.Value, v packed) error {
	m, ok := f.types.empty(v.of)
	if !ok {
		return fmt.Errorf("there is no type %s", v.of)
	}
	if err := f.message(reflect.ValueOf(m).Elem(), v.fields); err != nil {
		return err
	}
	value, err := m.Marshal()
	if err != nil {
		return err
	}
	return f.message(to, Fields{"type_url": "type.googleapis.com/" + v.of, "value": value})
}
