package spec

import (
	"strings"
)

// versionMajor is the major version of the runtime specification that hull
// implements. Within it configurations are compatible both ways (config.md,
// "Specification version"): a newer minor version only adds fields.
const versionMajor = "1"

// version checks ociVersion: Semantic Versioning 2.0.0 of major version 1.
func version(p *problems, v string) {
	switch major, ok := semver(v); {
	case v == "":
		p.add("ociVersion", "must be set")
	case !ok:
		p.add("ociVersion", "%q is not a version of the form MAJOR.MINOR.PATCH", v)
	case major != versionMajor:
		p.add("ociVersion", "%s is not supported, only %s.x is", v, versionMajor)
	}
}

// semver returns the major version of v and whether v is well-formed.
func semver(v string) (major string, ok bool) {
	v, build, hasBuild := strings.Cut(v, "+")
	core, pre, hasPre := strings.Cut(v, "-")
	if hasBuild && !identifiers(build) || hasPre && !identifiers(pre) {
		return "", false
	}
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 {
		return "", false
	}
	for _, n := range numbers {
		if n == "" || strings.Trim(n, "0123456789") != "" || len(n) > 1 && n[0] == '0' {
			return "", false
		}
	}
	return numbers[0], true
}

// identifiers checks a dot-separated pre-release or build part. That numeric
// identifiers must not start with 0 is not checked: nothing depends on it.
func identifiers(s string) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || strings.ContainsFunc(id, notIdentifier) {
			return false
		}
	}
	return true
}

func notIdentifier(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	digit := r >= '0' && r <= '9'
	return !letter && !digit && r != '-'
}
