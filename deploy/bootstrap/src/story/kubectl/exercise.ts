import { join } from 'node:path'
import { type BackgroundKubectl, startKubectl } from '../background-kubectl.ts'

/** One of two ways to the same cluster, each with a namespace of its own. */
export type Way = {
  readonly name: 'direct' | 'postern'
  readonly kubeconfig: string
  readonly namespace: string
  /** For what clients keep: caches, copied files. */
  readonly dir: string
}

/** Something that kubectl is made to do. It has to say the same on both ways. */
export type KubectlExercise = {
  readonly title: string
  /** Answers what kubectl said. @throws where that is wrong on any way */
  readonly play: (way: Way, program: string) => Promise<string>
}

export type KubectlOptions = {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly keepStdinOpen?: boolean
}

export function kubectl(
  program: string,
  way: Way,
  args: readonly string[],
  options: KubectlOptions = {},
): BackgroundKubectl {
  return startKubectl({
    program,
    kubeconfig: way.kubeconfig,
    cacheDir: cacheOf(way),
    args: ['-n', way.namespace, ...args],
    ...options,
  })
}

export function cacheOf(way: Way): string {
  return join(way.dir, `cache-${way.name}`)
}

/** Exit code, output and errors of a command that ends. */
export async function outcome(
  program: string,
  way: Way,
  args: readonly string[],
  options: KubectlOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await kubectl(program, way, args, options).ended
  return `rc=${code}\n${stdout}\n${stderr}`
}

/**
 * What older kubectls log of races of their own: the empty message with which an exec begins may be there
 * before their streams are (client-go, websocket.go), and standard input may end behind the close.
 */
const RACES_OF_KUBECTL =
  /^E\d{4} [\d:.]+ +\d+ (?:websocket\.go:\d+\] Unknown stream id 1, discarding message|v2\.go:\d+\] "Unhandled Error" err="websocket: close sent")\n/gm

/** What a client said, with everything that is different each time taken out. */
export function normalized(text: string, way: Way): string {
  return text
    .replaceAll(RACES_OF_KUBECTL, '')
    .replaceAll(way.namespace, 'NS')
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UID')
    .replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]+Z?\b/g, 'TIME')
    .replaceAll(/\w{3}, \d\d \w{3} \d{4} [\d:]+ [+-]\d{4}/g, 'TIME')
    .replaceAll(/\b127\.\d+\.\d+\.\d+\b/g, 'IP')
    .replaceAll(/\bweb-[a-f0-9]{6,10}(-\w{5})?\b/g, 'web-HASH')
    .replaceAll(/pod-template-hash=\w+/g, 'HASH')
    .replaceAll(/\b\d+(?:ms|s|m\d+s|m)\b/g, 'AGE')
    .replaceAll(/resourceVersion: "\d+"/g, 'RV')
    .replaceAll(/[0-9a-f]{64}/g, 'ID')
    .replaceAll(/ {2,}/g, ' ')
}
