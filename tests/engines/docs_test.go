//go:build engines

package engines

import (
	"os"
	"strings"
)

// documented returns the contents that docs/engines.md gives to a file after a
// word that it sets apart, with the name and the program of another runtime.
func documented(word, name, program string) string {
	page, err := os.ReadFile("../../docs/engines.md")
	if err != nil {
		fail("%v", err)
	}
	_, after, found := strings.Cut(string(page), "`"+word+"`")
	if !found {
		fail("docs/engines.md says nothing of %s", word)
	}
	_, after, _ = strings.Cut(after, "\n```")
	_, after, _ = strings.Cut(after, "\n") // the language
	text, _, found := strings.Cut(after, "\n```\n")
	if !found {
		fail("docs/engines.md has no contents for %s", word)
	}
	const documented = "/usr/local/sbin/hull"
	parts := strings.Split(text, documented)
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "hull", name)
	}
	return strings.Join(parts, "/usr/local/sbin/"+program) + "\n"
}
