package codec_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/codec"
)

// The inputs that fuzzing begins with are also examples of the formats: what decodes
// once decodes for ever, unless the name of its file says that it is refused.
func TestExamplesOfTheFormats(t *testing.T) {
	for target, decode := range map[string]func([]byte) error{
		"FuzzMessage":     func(b []byte) error { _, err := codec.DecodeMessage(b); return err },
		"FuzzLogRecord":   func(b []byte) error { _, err := codec.DecodeLogRecord(b); return err },
		"FuzzCertificate": func(b []byte) error { _, err := codec.DecodeCertificate(b); return err },
		"FuzzEvidence":    func(b []byte) error { _, err := codec.DecodeEvidence(b); return err },
		"FuzzFrame":       func(b []byte) error { _, err := codec.DecodeFrame(b, codec.Limits{}); return err },
		"FuzzBlock":       func(b []byte) error { _, err := codec.DecodeBlock(b, codec.Limits{}); return err },
		"FuzzHop":         func(b []byte) error { _, err := codec.DecodeHop(b); return err },
		"FuzzHead":        func(b []byte) error { _, err := codec.DecodeHead(b); return err },
	} {
		files, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
		if err != nil || len(files) < 2 {
			t.Fatalf("%s has %d examples, %v", target, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, value, _ := strings.Cut(string(text), "[]byte(")
			b, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(value), ")"))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			refused := strings.HasPrefix(filepath.Base(file), "refused_")
			if err := decode([]byte(b)); (err != nil) != refused {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
