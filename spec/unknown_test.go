package spec_test

import (
	"slices"
	"testing"

	"hull/spec"
)

func TestUnknownPropertiesAreNamedWithWhatWasProbablyMeant(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", `{"ociVersion":"1.0.0","linux":{"maskedPaths":[]},"annotations":{"any":"thing"}}`, nil},
		{"a letter less", `{"linux":{"maskedPath":["/proc/x"]}}`, []string{"linux.maskedPath: unknown property (did you mean linux.maskedPaths?)"}},
		{"another case", `{"HostName":"x"}`, []string{"HostName: unknown property (did you mean hostname?)"}},
		{"letters exchanged", `{"process":{"agrs":[]}}`, []string{"process.agrs: unknown property (did you mean process.args?)"}},
		{"the wrong object", `{"maskedPaths":[]}`, []string{"maskedPaths: unknown property (did you mean linux.maskedPaths?)"}},
		{"in a list", `{"mounts":[{"destination":"/a"},{"destination":"/b","option":[]}]}`, []string{"mounts[1].option: unknown property (did you mean mounts[1].options?)"}},
		{"in an embedded object", `{"linux":{"resources":{"blockIO":{"weightDevice":[{"major":1,"minor":2,"weigth":3}]}}}}`, []string{"linux.resources.blockIO.weightDevice[0].weigth: unknown property (did you mean linux.resources.blockIO.weightDevice[0].weight?)"}},
		{"in a map", `{"linux":{"netDevices":{"eth0":{"nane":"x"}}}}`, []string{"linux.netDevices.eth0.nane: unknown property (did you mean linux.netDevices.eth0.name?)"}},
		{"like nothing", `{"process":{"ofTheFuture":[1,{"x":2}]}}`, []string{"process.ofTheFuture: unknown property"}},
		{"two", `{"b_":1,"a_":1}`, []string{"a_: unknown property", "b_: unknown property"}},
		{"an annotation that nearly acts", `{"annotations":{"run.oci.hooks.stdour":"/x"}}`, []string{"annotations.run.oci.hooks.stdour: unknown annotation, it has no effect (did you mean run.oci.hooks.stdout?)"}},
		{"an annotation of crun", `{"annotations":{"run.oci.handler":"krun"}}`, []string{"annotations.run.oci.handler: unknown annotation, it has no effect (it is one of crun's)"}},
		{"an annotation for systemd", `{"annotations":{"org.systemd.property.Nice":"1","org.systemd.propety.Nice":"1"}}`, []string{"annotations.org.systemd.propety.Nice: unknown annotation, it has no effect (did you mean org.systemd.property.?)"}},
		{"what cannot be parsed", `{`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, err := range spec.Unknown([]byte(c.text)) {
				got = append(got, err.Error())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
