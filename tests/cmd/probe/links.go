package main

import "net"

// link is a network device as a program sees it.
type link struct {
	Index     int      `json:"index"`
	Up        bool     `json:"up"`
	MTU       int      `json:"mtu"`
	Hardware  string   `json:"hardware"`
	Addresses []string `json:"addresses"`
}

// links are the network devices, by their names.
func links() (map[string]link, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	out := make(map[string]link)
	for _, d := range devices {
		l := link{Index: d.Index, Up: d.Flags&net.FlagUp != 0, MTU: d.MTU, Hardware: d.HardwareAddr.String()}
		addresses, err := d.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			l.Addresses = append(l.Addresses, a.String())
		}
		out[d.Name] = l
	}
	return out, nil
}
