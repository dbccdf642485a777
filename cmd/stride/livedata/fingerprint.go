package livedata

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path/filepath"
)

// fingerprint is different when files below a directory have come, gone, grown or been written.
func fingerprint(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		return err
	})
	return string(sum.Sum(nil)), err
}
