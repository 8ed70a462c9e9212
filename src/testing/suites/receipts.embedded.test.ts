import { describeReceipts } from './receipts.ts'

describeReceipts('embedded')
