import { testGauntlet } from './suite.ts'

testGauntlet('kafka', 0.8)
