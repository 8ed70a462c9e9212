// A process of its own that is a member of a consumer group, for tests that kill or freeze it.
// In:  options as JSON in its first argument.
// Out: to its parent, each set of partitions it is told of. Ends with its parent, or leaves when
//      sent a message.
// Absent: records.

import pino from 'pino'
import { createKafkaMembership } from '../log/kafka.ts'

const { brokers, topic, group } = JSON.parse(process.argv[2] ?? '{}') as {
  brokers: string
  topic: string
  group: string
}
const logger = pino({ level: 'silent' })
const membership = createKafkaMembership({ brokers, topic, group, properties: {}, logger })

process.on('disconnect', () => process.exit(1))
process.on('message', () => {
  void membership.stop().then(() => process.exit(0))
})
await membership.start((partitions) => process.send?.(partitions))
