package config

import (
	"bytes"
	"maps"
	"os"
	"slices"

	"github.com/goccy/go-yaml"
)

// FeedNames reads the names of the file's feeds, sorted, and looks at nothing
// else in it: a shell completes them also where the passwords are not set.
func FeedNames(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Feeds map[string]any `yaml:"feeds"`
	}
	if err := yaml.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &file); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(file.Feeds)), nil
}
