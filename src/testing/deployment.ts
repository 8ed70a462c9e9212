// What the files of deploy/, compose.yaml and the Dockerfile set and name, for tests to hold
// against the program.
// In:  those files.
// Out: parsed YAML; the environment each process would get; the metrics an expression names.
// Absent: engines, clusters, systemd: what those make of the files (docs/deploy.md).

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

const root = fileURLToPath(new URL('../..', import.meta.url))

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** Paths below the repository of files that end so. */
export function filesBelow(folder: string, ...endings: string[]): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .map((path) => join(folder, path))
    .sort()
}

/** Every document of a YAML file; throws at the first thing the parser is not content with. */
export function readYaml(path: string): unknown[] {
  return parseAllDocuments(readText(path), { merge: true, uniqueKeys: true }).map((document) => {
    const [complaint] = [...document.errors, ...document.warnings]
    if (complaint !== undefined) throw new Error(`${path}: ${complaint.message}`)
    return document.toJS() as unknown
  })
}

export type Environment = Record<string, string>

/** A process that one of the files starts: its environment, and how long it may take to stop. */
export interface Planned {
  name: string
  environment: Environment
  stopSeconds: number
}

interface Service {
  image: string
  environment?: Environment
  stop_grace_period?: string
  volumes?: string[]
}

export function composeServices(): Map<string, Service> {
  const [file] = readYaml('compose.yaml') as [{ services: Record<string, Service> }]
  return new Map(Object.entries(file.services))
}

/** With secrets filled in, on top of what the image sets. */
export function composePlans(): Planned[] {
  return [...composeServices()]
    .filter(([, { image }]) => image.startsWith('transaction-ledger:'))
    .map(([name, { environment, stop_grace_period: stop = '10s' }]) => ({
      name: `compose.yaml ${name}`,
      environment: { ...imageEnvironment(), ...filled(environment ?? {}) },
      stopSeconds: Number.parseInt(stop, 10),
    }))
}

function filled(environment: Environment): Environment {
  const entries = Object.entries(environment).map(([name, value]) => {
    return [name, value.replaceAll(/\$\{\w+:\?[^}]*\}/g, 'secret')] as const
  })
  return Object.fromEntries(entries)
}

/** What the Dockerfile's last stage sets. */
export function imageEnvironment(): Environment {
  const [, block = ''] = /^ENV ((?:.*\\\n)*.*)$/m.exec(readText('Dockerfile')) ?? []
  return Object.fromEntries(
    [...block.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  )
}

/** `NAME=value` lines; with `commented`, those behind a # as well. */
export function readEnvironmentFile(path: string, { commented = false } = {}): Environment {
  const pattern = commented ? /^#?([A-Z][A-Z_]+)=(.*)$/gm : /^([A-Z][A-Z_]+)=(.*)$/gm
  const lines = [...readText(path).matchAll(pattern)]
  return Object.fromEntries(lines.map(([, name, value]) => [name, value]))
}

export function unitPlan({ commented }: { commented: boolean }): Planned {
  const unit = readText('deploy/systemd/transaction-ledger.service')
  const own = [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, name, value]) => [
    name,
    value,
  ])
  const given = readEnvironmentFile('deploy/systemd/transaction-ledger.env.example', { commented })
  return {
    name: `systemd ${commented ? 'with' : 'without'} what is commented out`,
    environment: { ...(Object.fromEntries(own) as Environment), ...given },
    stopSeconds: Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1]),
  }
}

interface Container {
  env: { name: string; value?: string; valueFrom?: { secretKeyRef: { key: string } } }[]
  lifecycle?: { preStop: { exec: { command: string[] } } }
}

export interface PodTemplate {
  terminationGracePeriodSeconds: number
  securityContext: { runAsUser: number }
  containers: [Container]
}

export function podTemplates(): Map<string, PodTemplate> {
  const documents = filesBelow('deploy/kubernetes', '.yaml').flatMap(readYaml) as {
    kind: string
    metadata?: { name: string }
    spec: { template: { spec: PodTemplate } }
  }[]
  const deployments = documents.filter(({ kind }) => kind === 'Deployment')
  return new Map(deployments.map((one) => [one.metadata?.name ?? '', one.spec.template.spec]))
}

export function kubernetesPlans(): Planned[] {
  const settings = readEnvironmentFile('deploy/kubernetes/settings.env')
  const secrets = readEnvironmentFile('deploy/kubernetes/secrets.env.example', { commented: true })
  return [...podTemplates()].map(([name, pod]) => {
    const [container] = pod.containers
    const own = container.env.map(({ name: variable, value, valueFrom }) => {
      return [variable, value ?? secrets[valueFrom?.secretKeyRef.key ?? '']]
    })
    const pause = Number(container.lifecycle?.preStop.exec.command[1] ?? 0)
    return {
      name: `kubernetes ${name}`,
      environment: {
        ...imageEnvironment(),
        ...settings,
        ...(Object.fromEntries(own) as Environment),
      },
      stopSeconds: pod.terminationGracePeriodSeconds - pause,
    }
  })
}

/** A metric as an expression names it, with the labels it is selected by. */
export interface Selected {
  metric: string
  labels: string[]
}

/** Metrics of the program and of Node's defaults in a PromQL expression or a series of a test. */
export function selections(expression: string): Selected[] {
  const pattern = /\b((?:ledger|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g
  return [...expression.matchAll(pattern)].map(([, metric, matchers = '']) => ({
    metric,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label),
  }))
}

/** Values of every key of these names, however deep. */
export function valuesOf(tree: unknown, ...names: string[]): string[] {
  if (Array.isArray(tree)) return tree.flatMap((one) => valuesOf(one, ...names))
  if (typeof tree !== 'object' || tree === null) return []
  return Object.entries(tree).flatMap(([name, value]) =>
    names.includes(name) && typeof value === 'string' ? [value] : valuesOf(value, ...names),
  )
}
