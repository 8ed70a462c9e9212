import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { readConfig } from '../config.ts'
import { environmentName, flags } from '../flags.ts'
import { healthRoutes } from '../observe/health.ts'
import { collectProcessMetrics, registry } from '../observe/metrics.ts'
import { serve } from './served.ts'
import {
  composePlans,
  composeServices,
  filesBelow,
  imageEnvironment,
  kubernetesPlans,
  podTemplates,
  readEnvironmentFile,
  readText,
  readYaml,
  selections,
  unitPlan,
  valuesOf,
} from './deployment.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const dashboard = 'deploy/grafana/dashboards/transaction-ledger.json'
const alerts = 'deploy/prometheus/alerts.yml'
const alertTests = 'deploy/prometheus/alerts.test.yml'

test('every YAML file parses, and names no key twice', () => {
  const files = ['compose.yaml', '.hadolint.yaml', ...filesBelow('deploy', '.yml', '.yaml')]
  assert.ok(files.length >= 12, files.join())
  for (const file of files) assert.ok(readYaml(file).length > 0, file)
})

/** Exposed names, and the labels of each; of a histogram, what Prometheus makes of it. */
async function exposed(): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>()
  // What Prometheus adds when it scrapes.
  const common = ['job', 'instance', 'role']
  for (const { name, type, labelNames } of registry.getMetricsAsArray() as unknown as {
    name: string
    type: string
    labelNames: string[]
  }[]) {
    const labels = [...labelNames, ...common]
    if (type !== 'histogram') found.set(name, new Set(labels))
    else {
      found.set(`${name}_bucket`, new Set([...labels, 'le']))
      for (const part of ['sum', 'count']) found.set(`${name}_${part}`, new Set(labels))
    }
  }
  return found
}

test('every metric and label in the dashboard, the alerts and their tests is exposed', async () => {
  collectProcessMetrics()
  const known = await exposed()
  const unknown = (expression: string): string[] =>
    selections(expression).flatMap(({ metric, labels }) => {
      const allowed = known.get(metric)
      if (allowed === undefined) return [metric]
      return labels.filter((label) => !allowed.has(label)).map((label) => `${metric}{${label}}`)
    })
  const expressions = [
    ...valuesOf(JSON.parse(readText(dashboard)), 'expr', 'definition'),
    ...readYaml(alerts).flatMap((rules) => valuesOf(rules, 'expr')),
    ...readYaml(alertTests).flatMap((tests) => valuesOf(tests, 'series', 'expr')),
  ]
  assert.ok(expressions.length > 80, String(expressions.length))
  assert.deepEqual(expressions.flatMap(unknown), [])
  assert.deepEqual(unknown('rate(ledger_lost_total[5m]) / ledger_lag_records{topic="a"}'), [
    'ledger_lost_total',
    'ledger_lag_records{topic}',
  ])
})

test('every metric of the program has a place in the dashboard', () => {
  const shown = new Set(
    valuesOf(JSON.parse(readText(dashboard)), 'expr').flatMap((expression) =>
      selections(expression).map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, '')),
    ),
  )
  const names = registry.getMetricsAsArray().map(({ name }) => name)
  const absent = names.filter((name) => name.startsWith('ledger_') && !shown.has(name))
  assert.deepEqual(absent, [])
})

test('every alert has a severity, and a test in which it fires', () => {
  const rules = (readYaml(alerts) as [{ groups: { rules: Rule[] }[] }])[0].groups.flatMap(
    ({ rules }) => rules,
  )
  const tests = readText(alertTests)
  for (const { alert, labels, annotations } of rules) {
    assert.ok(['page', 'ticket'].includes(labels.severity), alert)
    assert.ok(annotations.summary.length > 0 && annotations.description.length > 0, alert)
    const fires = new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:|\\{alertname="${alert}"\\}`)
    assert.match(tests, fires, alert)
  }
})

interface Rule {
  alert: string
  labels: { severity: string }
  annotations: { summary: string; description: string }
}

const plans = [
  ...composePlans(),
  ...kubernetesPlans(),
  unitPlan({ commented: false }),
  unitPlan({ commented: true }),
]

test('every variable that is set for the program is one it reads', () => {
  const names = new Set(flags.map(({ name }) => environmentName(name)))
  // Where its executable unpacks; the system's own variable.
  names.add('XDG_CACHE_HOME')
  assert.ok(Object.keys(imageEnvironment()).length >= 4)
  for (const { name, environment } of plans) {
    const strange = Object.keys(environment).filter((variable) => !names.has(variable))
    assert.deepEqual(strange, [], name)
  }
})

test('every process is configured as its role needs it, and is given the time it needs to stop', () => {
  assert.equal(plans.length, 5 + 3 + 2)
  for (const { name, environment, stopSeconds } of plans) {
    const command = readConfig([], environment)
    assert.equal(command.kind, 'run', name)
    if (command.kind !== 'run') continue
    const { shutdownTimeoutMs, brokers, receiptKey, roles, listen } = command.config
    assert.ok(stopSeconds * 1000 >= shutdownTimeoutMs + 5000, `${name}: ${stopSeconds} s to stop`)
    if (name.startsWith('systemd')) continue
    assert.notEqual(brokers, undefined, name)
    assert.equal(listen.host, '0.0.0.0', name)
    // Secrets go to the roles that need them, and to no other.
    assert.equal(environment['DATABASE_URL'] !== undefined, !roles.has('ingress'), name)
    const readsReceipts = roles.has('ingress') || roles.has('query')
    if (readsReceipts) assert.ok('RECEIPT_KEY' in environment, name)
    else assert.equal(receiptKey, undefined, name)
  }
})

test('flags that are named in alerts and in the dashboard exist', () => {
  const known = new Set<string>(flags.map(({ name }) => `--${name}`))
  const named = [alerts, dashboard].flatMap((file) => readText(file).match(/--[a-z][a-z-]+/g) ?? [])
  assert.ok(named.length > 2)
  assert.deepEqual(
    named.filter((flag) => !known.has(flag)),
    [],
  )
})

test('images of others are pinned to a release', () => {
  const bases = [...readText('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)
  const services = [...composeServices().values()].map(({ image }) => image)
  const others = [...bases, ...services].filter((image) => !image.startsWith('transaction-ledger:'))
  assert.equal(others.length, 7)
  for (const image of others) assert.match(image, /^[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.]+)?$/)
})

test('what compose.yaml mounts is there, and asks for what .env.example offers', () => {
  const mounts = [...composeServices().values()].flatMap(({ volumes = [] }) => volumes)
  const paths = mounts.filter((mount) => mount.startsWith('./')).map((mount) => mount.split(':')[0])
  assert.ok(paths.length >= 5)
  for (const path of paths) assert.ok(existsSync(join(root, path)), path)
  const asked = [...readText('compose.yaml').matchAll(/\$\{(\w+)/g)].map(([, name]) => name)
  const offered = readEnvironmentFile('.env.example', { commented: true })
  assert.deepEqual([...new Set(asked)].sort(), Object.keys(offered).sort())
})

test('the user of the image is the same number everywhere', () => {
  const [, uid] = /^USER (\d+):\1$/m.exec(readText('Dockerfile')) ?? []
  assert.notEqual(uid, undefined)
  assert.ok(readText('Dockerfile').includes(`useradd --uid ${uid} `))
  assert.ok(readText('compose.yaml').includes(`uid=${uid},gid=${uid}`))
  for (const [name, pod] of podTemplates()) {
    assert.equal(String(pod.securityContext.runAsUser), uid, name)
  }
})

/** Runs the image's health check with a LISTEN of this port. */
async function healthcheck(
  port: number,
  ...args: string[]
): Promise<{ code: number; output: string }> {
  const child = spawn(join(root, 'deploy/container/healthcheck'), args, {
    env: { LISTEN: `0.0.0.0:${port}`, PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [code] = (await once(child, 'close')) as [number]
  return { code, output }
}

test('the image’s health check tells well, not ready and gone apart', async (t) => {
  const { server, port } = await serve(t, { routes: healthRoutes([() => 'the database is away']) })
  assert.deepEqual(await healthcheck(port), { code: 0, output: 'HTTP/1.1 200 OK\n' })
  const notReady = await healthcheck(port, '/readyz')
  assert.equal(notReady.code, 1)
  assert.match(notReady.output, /^HTTP\/1\.1 503 /)
  await server.close(AbortSignal.timeout(1000))
  const gone = await healthcheck(port)
  assert.equal(gone.code, 1)
  assert.match(gone.output, /refused/)
})
