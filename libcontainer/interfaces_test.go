package libcontainer

import "testing"

func TestCountersOfAnInterfaceAreByTheirColumn(t *testing.T) {
	const line = "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
	want := Interface{"eth0", 1, 2, 3, 4, 9, 10, 11, 12}
	if got, ok := parseInterface(line); !ok || got != want {
		t.Errorf("%+v %v, want %+v", got, ok, want)
	}
	for _, line := range []string{
		"Inter-|   Receive                                                |  Transmit\n",
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes\n",
		"eth0: 1 2 3\n",
	} {
		if got, ok := parseInterface(line); ok {
			t.Errorf("%q is %+v", line, got)
		}
	}
}
