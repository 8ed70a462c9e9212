import { testGauntlet } from './suite.ts'

testGauntlet('kafka', 1.2)
