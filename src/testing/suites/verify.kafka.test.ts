import { describeVerify } from './verify.ts'

describeVerify('kafka', 2)
