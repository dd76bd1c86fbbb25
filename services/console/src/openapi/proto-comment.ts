import type { DescField, DescFile, DescMessage, DescMethod } from '@bufbuild/protobuf'

// Field numbers in google/protobuf/descriptor.proto: they make up the paths of SourceCodeInfo.
const FILE_MESSAGE = 4
const FILE_SERVICE = 6
const MESSAGE_FIELD = 2
const MESSAGE_NESTED = 3
const SERVICE_METHOD = 2

/** The comment above a declaration in its proto file, as one paragraph; empty where there is none. */
export function commentOf(described: DescMessage | DescMethod | DescField): string {
  const file = described.kind === 'message' ? described.file : described.parent.file
  return commentsOf(file).get(pathOf(described)) ?? ''
}

const known = new WeakMap<DescFile, ReadonlyMap<string, string>>()

function commentsOf(file: DescFile): ReadonlyMap<string, string> {
  const read = known.get(file)
  if (read !== undefined) return read
  const locations = file.proto.sourceCodeInfo?.location ?? []
  const comments = new Map(
    locations.map(({ path, leadingComments }) => [
      path.join('.'),
      leadingComments.trim().replaceAll(/\s+/g, ' '),
    ]),
  )
  known.set(file, comments)
  return comments
}

function pathOf(described: DescMessage | DescMethod | DescField): string {
  switch (described.kind) {
    case 'message':
      return messagePath(described)
    case 'rpc': {
      const { parent } = described
      const service = indexIn(parent.file.proto.service, parent.proto)
      return `${FILE_SERVICE}.${service}.${SERVICE_METHOD}.${indexIn(parent.proto.method, described.proto)}`
    }
    case 'field': {
      const { parent } = described
      return `${messagePath(parent)}.${MESSAGE_FIELD}.${indexIn(parent.proto.field, described.proto)}`
    }
  }
}

function messagePath({ parent, file, proto }: DescMessage): string {
  return parent === undefined
    ? `${FILE_MESSAGE}.${indexIn(file.proto.messageType, proto)}`
    : `${messagePath(parent)}.${MESSAGE_NESTED}.${indexIn(parent.proto.nestedType, proto)}`
}

function indexIn<T>(list: readonly T[], item: T): number {
  return list.indexOf(item)
}
