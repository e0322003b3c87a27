package linux

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestABarrierHoldsWhoeverTouchesItUntilItIsLifted(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	}
	b, err := NewBarrier()
	if err != nil {
		t.Fatal(err)
	}
	var lifted atomic.Bool
	passed := make(chan bool)
	go func() {
		b.Pass()
		passed <- lifted.Load()
	}()
	if err := b.Await(); err != nil {
		t.Fatal(err)
	}
	lifted.Store(true)
	if err := b.Lift(); err != nil {
		t.Fatal(err)
	}
	if !<-passed {
		t.Error("the barrier was passed before it was lifted")
	}
	b.Pass() // it is no more
}
