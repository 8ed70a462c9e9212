import { describeReplay } from './replay.ts'

describeReplay('kafka')
