package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestFlagsMayFollowTheContainerID(t *testing.T) {
	for _, test := range []struct{ name, given, want string }{
		{"already in front", "hull delete -f x", "hull delete -f x"},
		{"behind", "hull delete x --force", "hull delete --force x"},
		{"with a value", "hull create x --bundle /b --no-pivot", "hull create --bundle /b --no-pivot x"},
		{"with a value that looks like a flag", "hull create x --bundle -f", "hull create --bundle -f x"},
		{"with = and its value", "hull create x -b=/b", "hull create -b=/b x"},
		{"one dash", "hull run x -no-subreaper", "hull run -no-subreaper x"},
		{"after global flags", "hull --root /r --debug --log=l delete x -f", "hull --root /r --debug --log=l delete -f x"},
		{"a global flag's value that is a command", "hull --root delete state x", "hull --root delete state x"},
		{"no further than --", "hull delete x -- -f", "hull delete -- x -f"},
		{"a negative number is no flag", "hull kill x -9", "hull kill x -9"},
		{"stdin is no flag", "hull kill - -r", "hull kill -r -"},
		{"those of exec's program are its own", "hull exec x sh -e -t", "hull exec x sh -e -t"},
		{"those of ps are its own", "hull ps x -f", "hull ps x -f"},
		{"help is for the command", "hull delete x --help", "hull delete --help"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := strings.Fields(test.given)
			at := commandIndex(args, globalFlags())
			p := newProgram(args, Build{}, nil, nil)
			got := arrange(args, at, p.command(args[at]))
			if !slices.Equal(got, strings.Fields(test.want)) {
				t.Errorf("got %q, want %s", got, test.want)
			}
		})
	}
}

func TestCommandIndexEndsWhereThereIsNoCommand(t *testing.T) {
	for _, args := range []string{"hull", "hull --debug", "hull --root", "hull --root /r", "hull --"} {
		fields := strings.Fields(args)
		if at := commandIndex(fields, globalFlags()); at != len(fields) {
			t.Errorf("%s: %d", args, at)
		}
	}
}
