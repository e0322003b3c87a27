package libcontainer

import (
	"hull/nsenter"
)

// namespaces looks at those that are joined, and whether the kernel and the
// caller's privileges allow to make the others.
func (c *checker) namespaces() {
	to := new(nsenter.Namespaces)
	defer closeJoins(to)
	configure(to, c.spec.Linux)
	for i := range c.spec.Linux.Namespaces {
		ns := &c.spec.Linux.Namespaces[i]
		if ns.Path == "" {
			to.New |= cloneFlag(ns.Type)
			continue
		}
		join, err := openNamespace(i, ns)
		if err != nil {
			c.fail("", err)
			continue
		}
		to.Join = append(to.Join, join)
	}
	for _, err := range nsenter.Foresee(to, c.held) {
		c.fail("linux.namespaces", err)
	}
}
