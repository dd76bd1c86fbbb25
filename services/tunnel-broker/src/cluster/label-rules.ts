import { rejections } from '@postern/errors'

export type Labels = Readonly<Record<string, string>>

const rejected = rejections({
  INVALID_CLUSTER_NAME: [
    'invalid_argument',
    'a cluster name is a DNS label: 1 to 63 lower-case letters, digits and "-", not "-" at an end',
  ],
  INVALID_LABEL: [
    'invalid_argument',
    'labels follow Kubernetes: a key of at most 63 characters with an optional DNS prefix, a value of at most 63',
  ],
  TOO_MANY_LABELS: ['invalid_argument', 'a cluster has at most 64 labels'],
  INVALID_NAMESPACE: [
    'invalid_argument',
    'a namespace is a DNS label with labels as Kubernetes has them',
  ],
})

const LABELS_MAX = 64
/** Kubernetes sets no number, only 256 KiB of annotations; this many nobody has. */
const NAMESPACE_LABELS_MAX = 256
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const QUALIFIED = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)$/
const DNS_SUBDOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/
const PREFIX_CHARACTERS_MAX = 253

/** A cluster's name is a part of its host name (RFC 1123). @throws Rejection */
export function checkClusterName(name: string): void {
  if (!DNS_LABEL.test(name)) throw rejected('INVALID_CLUSTER_NAME', { name })
}

/** The syntax of Kubernetes labels. @throws Rejection */
export function checkLabels(labels: Labels): void {
  const entries = Object.entries(labels)
  if (entries.length > LABELS_MAX) throw rejected('TOO_MANY_LABELS')
  for (const [key, value] of entries) {
    if (!isKey(key) || !isValue(value)) throw rejected('INVALID_LABEL', { key: key.slice(0, 320) })
  }
}

/** What kube-apiserver would have made sure of; an agent is believed nothing more. @throws Rejection */
export function checkNamespace({ name, labels }: { name: string; labels: Labels }): void {
  const entries = Object.entries(labels)
  const isWell =
    DNS_LABEL.test(name) &&
    entries.length <= NAMESPACE_LABELS_MAX &&
    entries.every(([key, value]) => isKey(key) && isValue(value))
  if (!isWell) throw rejected('INVALID_NAMESPACE', { name: name.slice(0, 63) })
}

export function sameLabels(left: Labels, right: Labels): boolean {
  const keys = Object.keys(left)
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key])
}

function isKey(key: string): boolean {
  const slash = key.indexOf('/')
  if (slash < 0) return QUALIFIED.test(key)
  const prefix = key.slice(0, slash)
  return (
    prefix.length <= PREFIX_CHARACTERS_MAX &&
    DNS_SUBDOMAIN.test(prefix) &&
    QUALIFIED.test(key.slice(slash + 1))
  )
}

function isValue(value: string): boolean {
  return value === '' || QUALIFIED.test(value)
}
