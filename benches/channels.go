// Go's channels, between goroutines, for benches/peers/channels: see program.rs there for what is said on the pipes,
// and work.rs for what is done.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"sync"
	"syscall"
	"time"
)

type message interface{ [1]uint64 | [8]uint64 }

func newMessage[T message](number uint64) (m T) {
	for i := 0; i < len(m); i++ {
		m[i] = number
	}
	return
}

func sum[T message](m T) (sum uint64) {
	for i := 0; i < len(m); i++ {
		sum += m[i]
	}
	return
}

type measure struct{ ns, cpuNs, p50, p99 int64 }

func cpuTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// together lets goroutines go all at once and measures until the last one is done.
func together(parts []func() uint64) (m measure, total uint64) {
	var ready, done sync.WaitGroup
	gate := make(chan struct{})
	sums := make([]uint64, len(parts))
	for i := range parts {
		ready.Add(1)
		done.Add(1)
		go func(i int) {
			ready.Done()
			<-gate
			sums[i] = parts[i]()
			done.Done()
		}(i)
	}
	ready.Wait()
	begin, cpu := time.Now(), cpuTime()
	close(gate)
	done.Wait()
	m.ns, m.cpuNs = time.Since(begin).Nanoseconds(), cpuTime()-cpu
	for _, s := range sums {
		total += s
	}
	return
}

func expect[T message](total uint64, producers int, share uint64) {
	var one uint64
	for i := uint64(0); i < share; i++ {
		one += sum(newMessage[T](i))
	}
	if total != one*uint64(producers) {
		panic("not each message once")
	}
}

func produce[T message](c chan<- T, share uint64) func() uint64 {
	return func() uint64 {
		for i := uint64(0); i < share; i++ {
			c <- newMessage[T](i)
		}
		return 0
	}
}

func stream[T message](producers, consumers, capacity int, messages uint64) measure {
	c := make(chan T, capacity)
	share, part := messages/uint64(producers), messages/uint64(consumers)
	var parts []func() uint64
	for i := 0; i < producers; i++ {
		parts = append(parts, produce(c, share))
	}
	for i := 0; i < consumers; i++ {
		parts = append(parts, func() (total uint64) {
			for i := uint64(0); i < part; i++ {
				total += sum(<-c)
			}
			return
		})
	}
	m, total := together(parts)
	expect[T](total, producers, share)
	return m
}

func trips[T message](capacity int, count uint64) measure {
	there, back := make(chan T, capacity), make(chan T, capacity)
	samples := make([]int64, count)
	m, _ := together([]func() uint64{
		func() uint64 {
			last := time.Now()
			for i := range samples {
				there <- newMessage[T](uint64(i))
				if <-back != newMessage[T](uint64(i)) {
					panic("not what was sent")
				}
				now := time.Now()
				samples[i] = now.Sub(last).Nanoseconds()
				last = now
			}
			return 0
		},
		func() uint64 {
			for range samples {
				back <- <-there
			}
			return 0
		},
	})
	sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
	m.p50, m.p99 = samples[len(samples)/2], samples[len(samples)*99/100]
	return m
}

// selects is for four producers: the cases of a select statement are written down.
func selects[T message](capacity int, messages uint64) measure {
	var c [4]chan T
	share := messages / uint64(len(c))
	var parts []func() uint64
	for i := range c {
		c[i] = make(chan T, capacity)
		parts = append(parts, produce(c[i], share))
	}
	m, total := together(append(parts, func() (total uint64) {
		for i := uint64(0); i < messages; i++ {
			select {
			case m := <-c[0]:
				total += sum(m)
			case m := <-c[1]:
				total += sum(m)
			case m := <-c[2]:
				total += sum(m)
			case m := <-c[3]:
				total += sum(m)
			}
		}
		return
	}))
	expect[T](total, len(c), share)
	return m
}

func run[T message](kind string, producers, consumers, capacity int, messages uint64) (m measure, ok bool) {
	switch {
	case capacity < 0:
		return m, false
	case kind == "stream":
		return stream[T](producers, consumers, capacity, messages), true
	case kind == "trips":
		return trips[T](capacity, messages), true
	case kind == "select" && producers == 4:
		return selects[T](capacity, messages), true
	}
	return m, false
}

func main() {
	fmt.Println("go")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var name, kind string
		var bytes, producers, consumers, capacity int
		var messages uint64
		if _, err := fmt.Sscan(lines.Text(), &name, &kind, &bytes, &producers, &consumers, &capacity, &messages); err != nil {
			panic(err)
		}
		var m measure
		ok := false
		switch bytes {
		case 8:
			m, ok = run[[1]uint64](kind, producers, consumers, capacity, messages)
		case 64:
			m, ok = run[[8]uint64](kind, producers, consumers, capacity, messages)
		}
		if ok {
			fmt.Println(m.ns, m.cpuNs, m.p50, m.p99)
		} else {
			fmt.Println("-")
		}
	}
}
