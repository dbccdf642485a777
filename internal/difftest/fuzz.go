package difftest

import (
	"encoding/binary"
	"testing"
)

// FuzzQuery fuzzes an engine against Prometheus: the fuzzer's bytes decide
// for data set, options, times and query through the same generator that Run
// uses. Call it from a fuzz target with its f.
func FuzzQuery(f *testing.F, newEngine EngineFactory) {
	s := newSession(Config{Seed: 1, Candidate: newEngine, MaxMismatches: 1, SelfChecks: 1})
	f.Cleanup(func() {
		if err := s.close(); err != nil {
			f.Error(err)
		}
	})
	for i := range uint64(64) {
		f.Add(binary.LittleEndian.AppendUint64(nil, i*0x9e3779b97f4a7c15))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s.report.Mismatches = nil
		if err := s.check(t.Context(), s.choose(ByteChoices(data))); err != nil {
			t.Fatal(err)
		}
		for _, m := range s.report.Mismatches {
			t.Error(m.String())
		}
	})
}
