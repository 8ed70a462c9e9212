import { describeVerify } from './verify.ts'

describeVerify('embedded', 1)
