// The first thing that runs in the executable: the program, or the benchmarks.
// In:  the command line.
// Out: whatever was asked for.
// Absent: flags (src/flags.ts, bench/).

void import('../../dist/main.js')
