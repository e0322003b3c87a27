package spec

import (
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// maxMappings is how many lines a uid_map or gid_map may have
// (user_namespaces(7), since Linux 4.15).
const maxMappings = 340

// pageSize bounds the text of a uid_map or gid_map: the kernel takes less than a
// page, which is 4096 bytes at least (user_namespaces(7)).
const pageSize = 4096

// noID is the ID that no process can have: to setresuid(2) and chown(2) it means
// "leave as it is".
const noID = 1<<32 - 1

// IDMapLines renders mappings for /proc/PID/uid_map or gid_map.
func IDMapLines(mappings []specs.LinuxIDMapping) []byte {
	b := make([]byte, 0, 32*len(mappings))
	for _, m := range mappings {
		b = strconv.AppendUint(b, uint64(m.ContainerID), 10)
		b = strconv.AppendUint(append(b, ' '), uint64(m.HostID), 10)
		b = strconv.AppendUint(append(b, ' '), uint64(m.Size), 10)
		b = append(b, '\n')
	}
	return b
}

// HostID returns the ID on the host of an ID in the container, and whether
// mappings cover it.
func HostID(mappings []specs.LinuxIDMapping, id uint32) (uint32, bool) {
	for _, m := range mappings {
		if id >= m.ContainerID && uint64(id) < uint64(m.ContainerID)+uint64(m.Size) {
			return m.HostID + (id - m.ContainerID), true
		}
	}
	return 0, false
}

// idMappings checks a list of mappings by the rules of user_namespaces(7).
func idMappings(p *problems, path string, list []specs.LinuxIDMapping) {
	if len(list) > maxMappings {
		p.add(path, "%d entries, the kernel takes %d", len(list), maxMappings)
		return
	}
	if n := len(IDMapLines(list)); n >= pageSize {
		p.add(path, "%d bytes in /proc, the kernel takes less than %d: use fewer or shorter entries", n, pageSize)
	}
	for i, m := range list {
		here := at(path, i)
		if m.Size == 0 {
			p.add(at(here, "size"), "must be above 0")
		}
		if uint64(m.ContainerID)+uint64(m.Size) > noID {
			p.add(at(here, "containerID"), "%d and size %d go beyond the last ID", m.ContainerID, m.Size)
		}
		if uint64(m.HostID)+uint64(m.Size) > noID {
			p.add(at(here, "hostID"), "%d and size %d go beyond the last ID", m.HostID, m.Size)
		}
		for j, other := range list[:i] {
			if overlap(m.ContainerID, m.Size, other.ContainerID, other.Size) {
				p.add(at(here, "containerID"), "overlaps %s", at(path, j))
			}
			if overlap(m.HostID, m.Size, other.HostID, other.Size) {
				p.add(at(here, "hostID"), "overlaps %s", at(path, j))
			}
		}
	}
}

func overlap(a, sizeA, b, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

// inlineMappings parses what follows "idmap=" in a mount option:
// "uids=0-1-10#10-11-10;gids=0-100-10". Each triple is the ID in the file
// system, the ID on the host, and how many. After a "@" the second is an ID in
// the container, which users and groups translate.
func inlineMappings(text string, users, groups []specs.LinuxIDMapping) (uids, gids []specs.LinuxIDMapping, err error) {
	for part := range strings.SplitSeq(text, ";") {
		name, list, _ := strings.Cut(part, "=")
		switch name {
		case "uids":
			uids, err = inlineList(list, users)
		case "gids":
			gids, err = inlineList(list, groups)
		default:
			err = fault.Newf("", "", "%q is neither uids=LIST nor gids=LIST", part)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return uids, gids, nil
}

func inlineList(list string, container []specs.LinuxIDMapping) ([]specs.LinuxIDMapping, error) {
	list, relative := strings.CutPrefix(list, "@")
	var mappings []specs.LinuxIDMapping
	for triple := range strings.SplitSeq(list, "#") {
		m, ok := inlineTriple(triple)
		if !ok {
			return nil, fault.Newf("", "", "%q is not of the form ID-ID-SIZE", triple)
		}
		if relative {
			host, ok := HostID(container, m.HostID)
			if !ok {
				return nil, fault.Newf("", "", "%q: the container's user namespace does not map %d", triple, m.HostID)
			}
			more := max(m.Size, 1) - 1
			if last, ok := HostID(container, m.HostID+more); !ok || last-host != more {
				return nil, fault.Newf("", "", "%q: the container's user namespace maps %d, but not the %d after it to one range", triple, m.HostID, more)
			}
			m.HostID = host
		}
		mappings = append(mappings, m)
	}
	return mappings, nil
}

func inlineTriple(s string) (m specs.LinuxIDMapping, ok bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 {
		return m, false
	}
	for i, to := range []*uint32{&m.ContainerID, &m.HostID, &m.Size} {
		n, err := strconv.ParseUint(parts[i], 10, 32)
		if err != nil {
			return m, false
		}
		*to = uint32(n)
	}
	return m, true
}
