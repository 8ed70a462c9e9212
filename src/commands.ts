// What the program does besides serving: words that stand before the flags.
// In:  the word, and the arguments behind it.
// Out: the exit code, once it is done.
// Absent: what a command does (commands/NAME.ts, loaded only when asked for).

/** A command reads its own arguments, and says on standard error what is wrong with them. */
export interface ProgramCommand {
  /** One line for --help. */
  summary: string
  /**
   * Resolves to the exit code: 0 done, 1 not, 2 for arguments that cannot work; a command may have
   * others, and tells them in its --help.
   */
  run(argv: readonly string[]): Promise<number>
}

export const commands: Readonly<Record<string, ProgramCommand | undefined>> = {
  'rebuild-balances': {
    summary: 'Make the roll-ups behind balances anew, from the entries.',
    run: async (argv) => (await import('./commands/rebuild-balances.ts')).rebuildBalances(argv),
  },
  archive: {
    summary: 'Move the entries of old days into compressed files.',
    run: async (argv) => (await import('./commands/archive.ts')).runArchive(argv),
  },
  restore: {
    summary: 'Bring archived days back into the tables.',
    run: async (argv) => (await import('./commands/restore.ts')).runRestore(argv),
  },
  replay: {
    summary: 'Make the tables anew from the log, and swap them in.',
    run: async (argv) => (await import('./commands/replay.ts')).runReplay(argv),
  },
  import: {
    summary: 'Post the transactions of a CSV or NDJSON file, resumably.',
    run: async (argv) => (await import('./commands/import.ts')).runImport(argv),
  },
  verify: {
    summary: 'Prove that log and tables agree, or name each place where they do not.',
    run: async (argv) => (await import('./commands/verify.ts')).runVerify(argv),
  },
  quarantine: {
    summary: 'List, show or resubmit log records that could not be decoded.',
    run: async (argv) => (await import('./commands/quarantine.ts')).runQuarantine(argv),
  },
}
