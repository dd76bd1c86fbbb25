import { Rejection, rejections } from '@postern/errors'

/** With the shape and meaning of metav1.LabelSelector. */
export type LabelSelector = {
  matchLabels: Record<string, string>
  matchExpressions: { key: string; operator: string; values: string[] }[]
}

const ENTRIES_MAX = 100
const CHARACTERS_MAX = 16 * 1024

const rejected = rejections({
  SELECTOR_TOO_LARGE: [
    'invalid_argument',
    'a label selector has at most 100 labels, 100 expressions, 100 values in each, and 16384 characters in all',
  ],
  INVALID_LABEL_KEY: [
    'invalid_argument',
    'a label key is a name of at most 63 characters, with or without a DNS subdomain and "/" before it',
  ],
  INVALID_LABEL_VALUE: [
    'invalid_argument',
    'a label value is empty or has at most 63 letters, digits and "-_.", with a letter or digit at both ends',
  ],
  INVALID_OPERATOR: ['invalid_argument', 'an operator is In, NotIn, Exists or DoesNotExist'],
  VALUES_MISSING: ['invalid_argument', 'the operators In and NotIn need at least one value'],
  VALUES_NOT_ALLOWED: ['invalid_argument', 'the operators Exists and DoesNotExist take no values'],
  INVALID_NAMESPACE: [
    'invalid_argument',
    'a namespace is a DNS label of at most 63 characters, in which "*" stands for any run of characters',
  ],
})

const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const NAMESPACE_GLOB = /^[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?$/
const STARS_MAX = 8

/**
 * As kube-apiserver's ValidateLabelSelector (k8s.io/apimachinery/pkg/apis/meta/v1/validation).
 *
 * @throws Rejection that names the wrong key or value
 */
export function checkSelector({ matchLabels, matchExpressions }: LabelSelector): void {
  const labels = Object.entries(matchLabels)
  if (Math.max(labels.length, matchExpressions.length) > ENTRIES_MAX) {
    throw rejected('SELECTOR_TOO_LARGE')
  }
  for (const [key, value] of labels) {
    checkKey(key)
    checkValue(value)
  }
  for (const { key, operator, values } of matchExpressions) {
    checkKey(key)
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) throw wrong('VALUES_MISSING', key)
        if (values.length > ENTRIES_MAX) throw wrong('SELECTOR_TOO_LARGE', key)
        break
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) throw wrong('VALUES_NOT_ALLOWED', key)
        break
      default:
        throw wrong('INVALID_OPERATOR', operator)
    }
    for (const value of values) checkValue(value)
  }
  const texts = [...labels, ...matchExpressions.map(({ key, values }) => [key, ...values])].flat()
  const characters = texts.reduce((sum, text) => sum + text.length, 0)
  if (characters > CHARACTERS_MAX) throw rejected('SELECTOR_TOO_LARGE')
}

/** @throws Rejection INVALID_NAMESPACE */
export function checkNamespaceGlob(glob: string): void {
  if (!NAMESPACE_GLOB.test(glob) || glob.split('*').length - 1 > STARS_MAX) {
    throw wrong('INVALID_NAMESPACE', glob)
  }
}

function checkKey(key: string): void {
  const slash = key.indexOf('/')
  const prefix = slash === -1 ? undefined : key.slice(0, slash)
  const hasPrefix = prefix === undefined || (prefix.length <= 253 && DNS_SUBDOMAIN.test(prefix))
  if (!hasPrefix || !LABEL_NAME.test(key.slice(slash + 1))) {
    throw wrong('INVALID_LABEL_KEY', key)
  }
}

function checkValue(value: string): void {
  if (value !== '' && !LABEL_NAME.test(value)) {
    throw wrong('INVALID_LABEL_VALUE', value)
  }
}

function wrong(reason: Parameters<typeof rejected>[0], entry: string): Rejection {
  const { category, message } = rejected(reason)
  return new Rejection(reason, category, `"${entry.slice(0, 80)}": ${message}`)
}
