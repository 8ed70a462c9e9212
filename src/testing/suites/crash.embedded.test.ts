import { describeCrashes, describeCrashesWithOwnPostgres } from './crash.ts'

describeCrashes('embedded')
describeCrashesWithOwnPostgres()
