import { describeCrashes } from './crash.ts'

describeCrashes('kafka')
