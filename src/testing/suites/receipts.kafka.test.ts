import { describeReceipts } from './receipts.ts'

describeReceipts('kafka')
