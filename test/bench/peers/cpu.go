package main

import (
	"os"
	"strconv"
	"strings"
)

const ticksPerSecond = 100

// cpuOf is the CPU time of each process so far, in seconds, and of this one. A system without /proc has none.
func cpuOf(pids []string) map[string]float64 {
	seconds := map[string]float64{}
	for _, pid := range append([]string{strconv.Itoa(os.Getpid())}, pids...) {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			continue
		}
		// The name in brackets may hold anything; user and system time are the 12th and 13th field after it.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		seconds[pid] = (user + system) / ticksPerSecond
	}
	return seconds
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
		ticks, _ := strconv.ParseFloat(field, 64)
		busy += ticks
	}
	return busy / ticksPerSecond
}
