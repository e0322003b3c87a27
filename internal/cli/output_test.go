package cli

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func stateOfWeb() containerState {
	return containerState{
		Version: "1.0.2", ID: "web", Pid: 42, Status: "running", Bundle: "/b", Rootfs: "/b/rootfs",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC), Annotations: map[string]string{"k": "v"},
	}
}

func TestStateIsTheJSONOfRunc(t *testing.T) {
	const want = `{
  "ociVersion": "1.0.2",
  "id": "web",
  "pid": 42,
  "status": "running",
  "bundle": "/b",
  "rootfs": "/b/rootfs",
  "created": "2026-01-02T03:04:05.6789Z",
  "annotations": {
    "k": "v"
  },
  "owner": ""
}`
	if got, err := stateOfWeb().text(); err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestListIsTheJSONOfRunc(t *testing.T) {
	stopped := stateOfWeb()
	stopped.Pid, stopped.Status, stopped.Annotations, stopped.Owner = 0, "stopped", nil, "root"
	const want = `[{"ociVersion":"1.0.2","id":"web","pid":0,"status":"stopped","bundle":"/b","rootfs":"/b/rootfs","created":"2026-01-02T03:04:05.6789Z","owner":"root"}]`
	if got, err := json.Marshal([]containerState{stopped}); err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestListIsTheTableOfRunc(t *testing.T) {
	web := stateOfWeb()
	web.Owner = "root"
	long := stateOfWeb()
	long.ID, long.Owner = "a-long-container-name", "#1234"
	const want = `ID                      PID         STATUS      BUNDLE      CREATED                     OWNER
web                     42          running     /b          2026-01-02T03:04:05.6789Z   root
a-long-container-name   42          running     /b          2026-01-02T03:04:05.6789Z   #1234
`
	var got bytes.Buffer
	if err := printTable(&got, []containerState{web, long}); err != nil || got.String() != want {
		t.Errorf("got\n%s%v", got.String(), err)
	}
}

func TestOwnersWithoutANameAreNumbers(t *testing.T) {
	known := make(map[int]string)
	if got := userName(known, 0); got != "root" {
		t.Errorf("userName(0) = %s", got)
	}
	if got := userName(known, 1<<30); got != "#1073741824" {
		t.Errorf("userName(1<<30) = %s", got)
	}
}

func TestPsKeepsTheLinesOfTheContainer(t *testing.T) {
	const table = "UID          PID    PPID CMD\nroot           1       0 1 13 init\nroot          13       1 sh -c 1\nroot         133       1 sh\n"
	var got bytes.Buffer
	if err := printProcesses(&got, table, []int{13, 7}); err != nil {
		t.Fatal(err)
	}
	if want := "UID          PID    PPID CMD\nroot          13       1 sh -c 1\n"; got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}

func TestPsRefusesATableWithoutPids(t *testing.T) {
	for table, want := range map[string]string{
		"CMD\nsh\n":      "couldn't find PID field in ps output",
		"PID CMD\nx y\n": `unable to parse pid: strconv.Atoi: parsing "x": invalid syntax`,
	} {
		if err := printProcesses(&bytes.Buffer{}, table, []int{1}); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", table, err, want)
		}
	}
}
