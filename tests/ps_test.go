package tests

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestPsListsAllProcessesOfTheContainer(t *testing.T) {
	t.Parallel()
	needTool(t, "ps")
	h := newHost(t)
	c := h.start([]string{"spawn=forever", "spawn=forever", "pid"})
	c.see()
	want := append(childrenOf(t, c.pid), c.pid)
	slices.Sort(want)
	equal(t, "number of processes", len(want), 3)

	var pids []int
	decodeStrictly(t, h.must("ps", "--format", "json", c.id), &pids)
	slices.Sort(pids)
	equal(t, "JSON", pids, want)

	for _, args := range [][]string{
		{"ps", c.id},
		{"ps", c.id, "-ef"},
		{"ps", "--format=table", c.id, "aux"},
		{"ps", "-f", "table", c.id, "axf"},
		{"ps", c.id, "-A", "-o", "pid,args"}, // without -A, those of the caller's terminal
		{"ps", c.id, "-eo", "ppid,stat,pid,comm"},
		{"ps", c.id, "-e", "--sort=-pid"},
	} {
		lines := strings.Split(strings.TrimSpace(h.must(args...)), "\n")
		column := slices.Index(strings.Fields(lines[0]), "PID")
		if column < 0 {
			t.Fatalf("%v: no title: %q", args, lines)
		}
		var shown []int
		for _, line := range lines[1:] {
			pid, err := strconv.Atoi(strings.Fields(line)[column])
			if err != nil {
				t.Fatal(err)
			}
			shown = append(shown, pid)
		}
		slices.Sort(shown)
		equal(t, strings.Join(args, " "), shown, want)
	}
}

func TestPsRefusesWhatItCannotShow(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	h.refuses([]string{"couldn't find PID field"}, "ps", c.id, "-o", "args")
	h.refuses([]string{"run ps -o cake", "cake"}, "ps", c.id, "-o", "cake")
	h.refuses([]string{"invalid format option"}, "ps", "--format", "yaml", c.id)
	h.refuses([]string{`"ps" requires a minimum of 1 argument`}, "ps")
}

func TestPsOfAStoppedContainerIsEmpty(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := statuses()["stopped"](h)
	var pids []int
	if err := json.Unmarshal([]byte(h.must("ps", "--format", "json", c.id)), &pids); err != nil || len(pids) != 0 {
		t.Errorf("pids %v, %v", pids, err)
	}
}

func TestPsSeesWhatExecStarted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, func(*specs.Spec) {})
	h.must("exec", "--detach", c.id, "/probe", "sleep")
	var pids []int
	decodeStrictly(t, h.must("ps", "--format", "json", c.id), &pids)
	equal(t, "processes", len(pids), 2)
}

func TestPsOfAContainerWithoutACgroupShowsItsPidNamespace(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.flags = []string{"--cgroup-manager", "disabled"}
	c := h.start([]string{"spawn=forever", "pid"})
	c.see()
	// Nobody in the container is the parent of an exec.
	h.must("exec", "--detach", c.id, "/probe", "sleep")
	r := h.try("ps", "--format", "json", c.id)
	var pids []int
	decodeStrictly(t, r.stdout, &pids)
	equal(t, "processes", len(pids), 3)
	equal(t, "whether init is there", slices.Contains(pids, c.pid), true)
	equal(t, "words", r.stderr, "")
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	equal(t, "processes of one that has stopped", h.must("ps", "--format", "json", c.id), "null\n")
}

func TestPsSaysWhatItCannotKnow(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.flags = []string{"--cgroup-manager", "disabled"}
	c, family := family(h)
	r := h.try("ps", "--format", "json", c.id)
	var pids []int
	decodeStrictly(t, r.stdout, &pids)
	slices.Sort(family)
	equal(t, "processes", pids, family)
	if !strings.Contains(r.stderr, "level=warning") || !strings.Contains(r.stderr, "neither a cgroup nor a pid namespace") {
		t.Errorf("no warning: %s", r.stderr)
	}
}
