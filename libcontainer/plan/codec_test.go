package plan_test

import (
	"fmt"
	"reflect"
	"testing"

	"hull/libcontainer/plan"
)

// fill gives every field below v a value that is neither zero nor equal to its
// neighbour's, so that a field the codec forgets or swaps shows.
func fill(v reflect.Value, next *int) {
	*next++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), next)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), next)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("s", *next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*next))
	case reflect.Int32, reflect.Int64:
		v.SetInt(-int64(*next))
	default:
		panic(v.Type().String() + " has no filler")
	}
}

func filled() *plan.Plan {
	p := new(plan.Plan)
	next := 0
	fill(reflect.ValueOf(p).Elem(), &next)
	return p
}

func TestEveryFieldSurvivesTheCodec(t *testing.T) {
	want := filled()
	got, err := plan.Decode(plan.Encode(want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheZeroPlanSurvivesTheCodec(t *testing.T) {
	got, err := plan.Decode(plan.Encode(new(plan.Plan)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, new(plan.Plan)) {
		t.Errorf("got %+v", got)
	}
}

func TestATruncatedPlanIsRefused(t *testing.T) {
	b := plan.Encode(filled())
	for n := range b {
		if _, err := plan.Decode(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken for a plan", n, len(b))
		}
	}
	if _, err := plan.Decode(append(b, 0)); err == nil {
		t.Error("a trailing byte was accepted")
	}
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add(plan.Encode(filled()))
	f.Add(plan.Encode(new(plan.Plan)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := plan.Decode(b)
		if err != nil {
			return
		}
		if again, err := plan.Decode(plan.Encode(p)); err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%+v does not survive a second pass: %v", p, err)
		}
	})
}
