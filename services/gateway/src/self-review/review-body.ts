import { z } from 'zod'
import { type Fields, parseFields, unwrapKubernetesProtobuf } from './protobuf.ts'

/** What a SelfSubjectAccessReview asks about (authorization.k8s.io/v1). */
export type AccessQuestion =
  | {
      readonly kind: 'resource'
      readonly namespace: string
      readonly verb: string
      readonly group: string
      readonly version: string
      readonly resource: string
      readonly subresource: string
      readonly name: string
      /** As in a query; "" without one, and where the body is protobuf, of which it is not read. */
      readonly fieldSelector: string
    }
  | { readonly kind: 'nonResource'; readonly path: string; readonly verb: string }

const word = z.string().max(1024).default('')
const requirement = z.object({ key: word, operator: word, values: z.array(word).nullish() })
const fieldSelector = z
  .object({ rawSelector: word, requirements: z.array(requirement).nullish() })
  .nullish()
  .transform((selector) => {
    const terms = selector?.requirements?.flatMap(({ key, operator, values }) =>
      (values ?? []).map((value) => `${key}${operator === 'NotIn' ? '!=' : '='}${value}`),
    )
    return terms?.join(',') ?? selector?.rawSelector ?? ''
  })
const resourceAttributes = z.object({
  namespace: word,
  verb: word,
  group: word,
  version: word,
  resource: word,
  subresource: word,
  name: word,
  fieldSelector,
})
const nonResourceAttributes = z.object({ path: word, verb: word })
const accessReview = z.object({
  spec: z.object({
    resourceAttributes: resourceAttributes.nullish(),
    nonResourceAttributes: nonResourceAttributes.nullish(),
  }),
})
const rulesReview = z.object({ spec: z.object({ namespace: word }) })

/** `undefined` when the body cannot be understood: then nothing may be concluded from it. */
export function parseAccessReview(body: Buffer, contentType: string): AccessQuestion | undefined {
  if (isProtobuf(contentType)) return accessReviewFromProtobuf(body)
  const parsed = accessReview.safeParse(parseJson(body, contentType))
  if (!parsed.success) return undefined
  const { resourceAttributes: resource, nonResourceAttributes: url } = parsed.data.spec
  return toQuestion(resource ?? undefined, url ?? undefined)
}

/** The namespace that a SelfSubjectRulesReview asks about. */
export function parseRulesReview(body: Buffer, contentType: string): string | undefined {
  if (!isProtobuf(contentType)) {
    const parsed = rulesReview.safeParse(parseJson(body, contentType))
    return parsed.success ? parsed.data.spec.namespace : undefined
  }
  const spec = specOf(body)
  return spec === undefined ? undefined : textOf(spec, 1)
}

function accessReviewFromProtobuf(body: Buffer): AccessQuestion | undefined {
  const spec = specOf(body)
  const resourceBytes = spec?.get(1)
  const urlBytes = spec?.get(2)
  const resource = resourceBytes && parseFields(resourceBytes)
  const url = urlBytes && parseFields(urlBytes)
  if ((resourceBytes && !resource) || (urlBytes && !url)) return undefined
  return toQuestion(
    resource && {
      namespace: textOf(resource, 1),
      verb: textOf(resource, 2),
      group: textOf(resource, 3),
      version: textOf(resource, 4),
      resource: textOf(resource, 5),
      subresource: textOf(resource, 6),
      name: textOf(resource, 7),
      fieldSelector: '',
    },
    url && { path: textOf(url, 1), verb: textOf(url, 2) },
  )
}

function toQuestion(
  resource: z.infer<typeof resourceAttributes> | undefined,
  url: z.infer<typeof nonResourceAttributes> | undefined,
): AccessQuestion | undefined {
  // kube-apiserver refuses both and neither.
  if ((resource === undefined) === (url === undefined)) return undefined
  if (resource !== undefined) return { kind: 'resource', ...resource }
  return url && { kind: 'nonResource', ...url }
}

function specOf(body: Buffer): Fields | undefined {
  const raw = unwrapKubernetesProtobuf(body)
  const spec = raw && parseFields(raw)?.get(2)
  return spec && parseFields(spec)
}

function textOf(fields: Fields, field: number): string {
  return fields.get(field)?.toString('utf8') ?? ''
}

function isProtobuf(contentType: string): boolean {
  return contentType.toLowerCase().startsWith('application/vnd.kubernetes.protobuf')
}

function parseJson(body: Buffer, contentType: string): unknown {
  const type = contentType.toLowerCase().split(';')[0]?.trim()
  if (type !== 'application/json' && type !== '') return undefined
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
