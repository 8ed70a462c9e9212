// One process of the program with its place in the scene: it is killed and comes back.
// In:  role, flags, an address that stays.
// Out: signals, lives, and what a life said.
// Absent: when it is killed (the faults).

import { Program, type Launch } from '../program.ts'
import type { Member, MemberRole } from './fault.ts'

export interface MemberOptions {
  name: string
  role: MemberRole
  /** Where it listens, in every life. */
  port: number
  flags: readonly string[]
  launch?: Launch
}

/** What the program does for each role here; reading is asked of whoever takes requests. */
const roleFlags: Readonly<Record<MemberRole, string>> = {
  all: 'all',
  ingress: 'ingress,query',
  worker: 'worker',
}

export class LiveMember implements Member {
  readonly name: string
  readonly role: MemberRole
  readonly port: number
  /** Whether a fault has ended it, so that nobody wonders. */
  isMeantToRun = true
  lives = 1
  readonly #options: MemberOptions
  #program: Program

  constructor(options: MemberOptions) {
    this.name = options.name
    this.role = options.role
    this.port = options.port
    this.#options = options
    this.#program = this.#spawn([])
  }

  get program(): Program {
    return this.#program
  }

  get pid(): number {
    return this.#program.child.pid ?? 0
  }

  get isUp(): boolean {
    return this.#program.end === undefined
  }

  /** Where it answers without any proxy. */
  get directUrl(): string {
    return `http://127.0.0.1:${this.port}`
  }

  stop(): void {
    if (this.isUp) this.#program.kill('SIGSTOP')
  }

  resume(): void {
    if (this.isUp) this.#program.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    this.isMeantToRun = false
    this.#program.kill('SIGKILL')
    await this.#program.exited
  }

  start(...flags: readonly string[]): void {
    if (this.isUp) return
    this.isMeantToRun = true
    this.lives += 1
    this.#program = this.#spawn(flags)
  }

  async ready(timeoutMs?: number): Promise<void> {
    await this.#program.ready(timeoutMs)
  }

  #spawn(flags: readonly string[]): Program {
    const { role, port, flags: common, launch } = this.#options
    const listen = ['--listen', `127.0.0.1:${port}`, '--role', roleFlags[role]]
    return new Program([...listen, ...common, ...flags], launch)
  }
}
