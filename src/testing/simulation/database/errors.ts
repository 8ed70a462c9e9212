// Errors as pg raises them for what PostgreSQL reports.
// In:  SQLSTATE and message.
// Out: errors that postgres/retry.ts tells apart by these fields.
// Absent: errors of sockets.

export interface PostgresError extends Error {
  code: string
  severity: string
}

export function postgresError(code: string, message: string, severity = 'ERROR'): PostgresError {
  return Object.assign(new Error(message), { code, severity })
}
