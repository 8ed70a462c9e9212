import { testGauntlet } from './suite.ts'

testGauntlet('embedded', 1.2)
