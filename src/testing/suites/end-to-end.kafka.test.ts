import { describeEndToEnd } from './end-to-end.ts'

// Two databases that share the buckets.
describeEndToEnd('kafka', 2)
