package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// schema is what the tool needs of a JSON schema (draft 4).
type schema struct {
	Ref        string            `json:"$ref"`
	Enum       []string          `json:"enum"`
	Properties properties        `json:"properties"`
	Pattern    map[string]schema `json:"patternProperties"`
	Additional *schema           `json:"additionalProperties"`
	Items      *schema           `json:"items"`
	AllOf      []*schema         `json:"allOf"`
	AnyOf      []*schema         `json:"anyOf"`
}

// property is a member of an object.
type property struct {
	name   string
	schema schema
	file   string // that its references are in, if it is another than its object's
}

// properties keeps the order of the document, which is the one that its readers
// know; a map would not.
type properties []*property

// UnmarshalJSON reads an object member by member.
func (p *properties) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return fmt.Errorf("%v is no name", key)
		}
		var s schema
		if err := d.Decode(&s); err != nil {
			return err
		}
		*p = append(*p, &property{name: name, schema: s})
	}
	return nil
}

// schemas reads the schema files of a directory, each once.
type schemas struct {
	dir   string
	files map[string]json.RawMessage
}

func newSchemas(dir string) *schemas {
	return &schemas{dir: dir, files: map[string]json.RawMessage{}}
}

// foreign are the platforms whose configuration is not hull's.
var foreign = []string{"freebsd", "solaris", "vm", "windows", "zos"} //nolint:gochecknoglobals // a constant, were there such lists

// paths lists the properties of a schema file, below prefix, and after each the
// values that it may have.
func (s *schemas) paths(file, prefix string) ([]string, error) {
	root, file, err := s.resolve(file, schema{Ref: file})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range root.Properties {
		if slices.Contains(foreign, p.name) {
			continue
		}
		if ids, err = s.walk(ids, prefix+p.name, cmp.Or(p.file, file), p.schema); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// walk appends the property id and those below it.
func (s *schemas) walk(ids []string, id, file string, of schema) ([]string, error) {
	of, file, err := s.resolve(file, of)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	ids = append(ids, id)
	switch {
	case of.Items != nil:
		return s.walkItems(ids, id, file, *of.Items)
	case of.Additional != nil:
		return s.walk(ids, id+".*", file, *of.Additional)
	case len(of.Pattern) > 0:
		return append(ids, id+".*"), nil
	case len(of.Properties) == 0:
		return appendValues(ids, id, of.Enum), nil
	}
	for _, p := range of.Properties {
		if ids, err = s.walk(ids, id+"."+p.name, cmp.Or(p.file, file), p.schema); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// walkItems is walk for what is in a list: objects have their properties below
// "id[]", words are values of the list.
func (s *schemas) walkItems(ids []string, id, file string, items schema) ([]string, error) {
	items, file, err := s.resolve(file, items)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	if len(items.Properties) == 0 {
		return appendValues(ids, id, items.Enum), nil
	}
	for _, p := range items.Properties {
		if ids, err = s.walk(ids, id+"[]."+p.name, cmp.Or(p.file, file), p.schema); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func appendValues(ids []string, id string, values []string) []string {
	// What the features document may list is what config.json may have; there
	// each value has a row.
	if strings.HasPrefix(id, "features.") {
		return ids
	}
	for _, v := range values {
		ids = append(ids, id+"="+v)
	}
	return ids
}

// resolve follows references, and makes one schema of those that apply
// together. It returns the file that the references of the result are in.
func (s *schemas) resolve(file string, of schema) (schema, string, error) {
	for of.Ref != "" {
		var err error
		if of, file, err = s.follow(file, of.Ref); err != nil {
			return schema{}, "", err
		}
	}
	parts := slices.Concat(of.AllOf, of.AnyOf)
	of.AllOf, of.AnyOf = nil, nil
	for _, part := range parts {
		resolved, its, err := s.resolve(file, *part)
		if err != nil {
			return schema{}, "", err
		}
		for _, p := range resolved.Properties {
			of.Properties = append(of.Properties, &property{p.name, p.schema, cmp.Or(p.file, its)})
		}
	}
	return of, file, nil
}

// follow finds what a reference in a file means.
func (s *schemas) follow(file, ref string) (schema, string, error) {
	other, pointer, _ := strings.Cut(ref, "#")
	if other != "" {
		file = other
	}
	text, err := s.read(file)
	if err != nil {
		return schema{}, "", err
	}
	for name := range strings.FieldsFuncSeq(pointer, func(r rune) bool { return r == '/' }) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(text, &members); err != nil {
			return schema{}, "", fmt.Errorf("%s: %w", ref, err)
		}
		if text = members[name]; text == nil {
			return schema{}, "", fmt.Errorf("%s: there is no %s", ref, name)
		}
	}
	var found schema
	if err := json.Unmarshal(text, &found); err != nil {
		return schema{}, "", fmt.Errorf("%s: %w", ref, err)
	}
	return found, file, nil
}

func (s *schemas) read(file string) (json.RawMessage, error) {
	if text := s.files[file]; text != nil {
		return text, nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		return nil, err
	}
	s.files[file] = text
	return text, nil
}
