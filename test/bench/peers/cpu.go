package main

import (
	"os"
	"strconv"
	"strings"
)

const ticksPerSecond = 100

// cpuOf is the CPU time of each process and of all that it started so far, in seconds, and that of this one. PostgreSQL
// works in a process for each connection, and those come and go. A system without /proc has none.
func cpuOf(pids []string) map[string]float64 {
	running := statsOfAll()
	seconds := map[string]float64{}
	for _, pid := range append([]string{strconv.Itoa(os.Getpid())}, pids...) {
		if process, ok := running[pid]; ok {
			seconds[pid] = process.own + process.ended + secondsOfChildren(running, pid)
		}
	}
	return seconds
}

// processStat is what proc_pid_stat(5) says: its own CPU time, and that of children that ended, in seconds.
type processStat struct {
	parent     string
	own, ended float64
}

func statsOfAll() map[string]processStat {
	stats := map[string]processStat{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		text, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		// The name in brackets may hold anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if err != nil || len(fields) < 15 {
			continue
		}
		seconds := func(user, system int) float64 {
			return (number(fields[user]) + number(fields[system])) / ticksPerSecond
		}
		stats[entry.Name()] = processStat{fields[1], seconds(11, 12), seconds(13, 14)}
	}
	return stats
}

func secondsOfChildren(running map[string]processStat, pid string) float64 {
	sum := 0.0
	for child, process := range running {
		if process.parent == pid {
			sum += process.own + process.ended + secondsOfChildren(running, child)
		}
	}
	return sum
}

func number(text string) float64 {
	value, _ := strconv.ParseFloat(text, 64)
	return value
}

// machineCPU is how long the machine's CPUs were busy so far, all together.
func machineCPU() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	busy := 0.0
	for index, field := range strings.Fields(line)[1:] {
		// Idle and waiting for a disk are not busy; guests are counted within user.
		if index == 3 || index == 4 || index >= 8 {
			continue
		}
		busy += number(field)
	}
	return busy / ticksPerSecond
}
