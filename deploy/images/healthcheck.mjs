// HEALTHCHECK of every image: asks /readyz where the part's *_HTTP_LISTEN says it serves it. Ends
// with 0 when it is ready, otherwise with 1 and the reasons.
const DEADLINE_MS = 4_000

// oxlint-disable-next-line node/no-process-env -- a program of its own, without modules
const [listen] = Object.entries(process.env).flatMap(([name, value]) =>
  /^POSTERN_[A-Z_]+_HTTP_LISTEN$/.test(name) && value ? [value] : [],
)
try {
  if (listen === undefined) throw new Error('POSTERN_<PART>_HTTP_LISTEN is not set')
  const address = listen.replace(/^(0\.0\.0\.0|\[::\])(?=:\d+$)/, '127.0.0.1')
  const answer = await fetch(`http://${address}/readyz`, {
    signal: AbortSignal.timeout(DEADLINE_MS),
  })
  process.stdout.write(await answer.text())
  process.exitCode = answer.ok ? 0 : 1
} catch (error) {
  process.stdout.write(`${error.cause?.message ?? error.message}\n`)
  process.exitCode = 1
}
