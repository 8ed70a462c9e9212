// A stream of bytes as the lines of its text.
// In:  a body as it arrives, cut anywhere.
// Out: lines without their ends; what follows the last line feed is none yet.
// Absent: what the lines mean.

/** Leaving the loop early cancels the stream. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = stream.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
