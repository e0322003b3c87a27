package cgroup

import "testing"

// The budget for the cgroup part of a container's life, on a machine with
// eight v1 controllers: what is not the kernel's mkdir and rmdir must not show.
func BenchmarkLifeCycle(b *testing.B) {
	for name, sys := range systems(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c, err := newOn(sys, Config{Path: "/hull-cgroup-bench"})
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Create(); err != nil {
					b.Fatal(err)
				}
				j, err := c.Join(OwnCredentials, nil)
				if err != nil {
					b.Fatal(err)
				}
				j.Close()
				if err := c.Remove(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkStep(b *testing.B, step, undo func(*Cgroup) error) {
	b.Helper()
	for name, sys := range systems(b) {
		b.Run(name, func(b *testing.B) {
			c := newCgroup(b, sys, "/hull-cgroup-bench")
			for b.Loop() {
				if err := step(c); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := undo(c); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for name, sys := range systems(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := newOn(sys, Config{Path: "/hull-cgroup-bench"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCreate(b *testing.B) {
	benchmarkStep(b, (*Cgroup).Create, (*Cgroup).Remove)
}

func BenchmarkRemove(b *testing.B) {
	for name, sys := range systems(b) {
		b.Run(name, func(b *testing.B) {
			c := newCgroup(b, sys, "/hull-cgroup-bench")
			for b.Loop() {
				b.StopTimer()
				create(b, c)
				b.StartTimer()
				if err := c.Remove(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJoin(b *testing.B) {
	for name, sys := range systems(b) {
		b.Run(name, func(b *testing.B) {
			c := newCgroup(b, sys, "/hull-cgroup-bench")
			create(b, c)
			for b.Loop() {
				j, err := c.Join(OwnCredentials, nil)
				if err != nil {
					b.Fatal(err)
				}
				j.Close()
			}
		})
	}
}
