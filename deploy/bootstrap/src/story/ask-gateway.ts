import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import type { World } from './world.ts'

const ANSWER_MS_MAX = 10_000

/** One GET of the user's, as it is: kubectl would repeat what it is told to repeat. */
export async function ask(
  world: World,
  user: string,
  cluster: string,
  path: string,
): Promise<{ readonly code: number; readonly text: string }> {
  const kubeconfig = readFileSync(world.kubeconfigFile(user, cluster), 'utf8')
  const token = /token: (\S+)/.exec(kubeconfig)?.[1] ?? ''
  const url = `${world.platform.gatewayUrl}/clusters/${cluster}${path}`
  const ca = readFileSync(world.platform.secrets.webCaFile)
  return await new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        ca,
        agent: false,
        headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      },
      (response) => {
        text(response).then((body) => {
          resolve({ code: response.statusCode ?? 0, text: body })
        }, reject)
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}
