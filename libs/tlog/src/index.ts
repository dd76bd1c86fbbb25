export { type Checkpoint, openCheckpoint, parseCheckpoint, signCheckpoint } from './checkpoint.ts'
export { emptyFrontier, type Frontier, frontierRoot, growFrontier } from './frontier.ts'
export { EMPTY_ROOT, HASH_BYTES, type Hash, hashesEqual, leafHash, nodeHash } from './hash.ts'
export { type LogProblem, type LogVerdict, verifyLog } from './log-verifier.ts'
export { type HashReader, proveConsistency, proveInclusion } from './proof.ts'
export {
  createNoteSigner,
  NoteError,
  type NoteSigner,
  type NoteVerifier,
  openNote,
  parseVerifierKey,
} from './signed-note.ts'
export type { Subtree } from './subtree.ts'
export {
  decodeEntryBundle,
  decodeTile,
  ENTRY_BYTES_MAX,
  edgeTiles,
  encodeEntryBundle,
  encodeTile,
  entryBundlePath,
  parseTilePath,
  TILE_WIDTH,
  type Tile,
  type TileId,
  type TileReader,
  tileHashReader,
  tilePath,
  tileWidth,
} from './tile.ts'
export { emptyEdge, growEdge, restoreEdge, type TreeEdge } from './tree-edge.ts'
export { type TreeHead, verifyConsistency, verifyInclusion } from './verify-proof.ts'
