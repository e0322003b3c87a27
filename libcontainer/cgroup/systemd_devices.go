package cgroup

import (
	"strconv"

	"hull/internal/dbus"
)

// tellDevices has systemd know the rules where devices are in v1: there it allows
// all of them again, whenever it applies what it knows, to a unit of which it
// knows none. On v2 it leaves alone the programs that are not its own.
func (c *Cgroup) tellDevices(l *deviceList) error {
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	w.Bool(true) // until the next boot
	w.Array(8, func() {
		if l.otherwise == allow {
			return
		}
		textProperty(w, "DevicePolicy", "strict")
		property(w, "DeviceAllow", "a(ss)", func() {
			w.Array(8, func() {
				for _, e := range l.exceptions {
					if name := e.systemdName(); name != "" {
						w.Struct()
						w.String(name)
						w.String(e.access.String())
					}
				}
			})
		})
	})
	conn, err := dbus.Dial(c.rec.Bus, unitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = c.callManager(conn, "SetUnitProperties", "sba(sv)", w)
	return err
}

// systemdName is how systemd names the devices of a rule (systemd.resource-control(5),
// DeviceAllow=), or empty for what it cannot name and will not allow again.
func (r deviceRule) systemdName() string {
	kind := "char"
	if r.kind == 'b' {
		kind = "block"
	}
	switch {
	case r.major == anyNumber && r.minor == anyNumber:
		return kind + "-*"
	case r.major == anyNumber:
		return ""
	case r.minor == anyNumber:
		return kind + "-" + strconv.FormatInt(r.major, 10)
	}
	return "/dev/" + kind + "/" + strconv.FormatInt(r.major, 10) + ":" + strconv.FormatInt(r.minor, 10)
}
