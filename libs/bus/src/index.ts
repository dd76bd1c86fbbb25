export {
  type Bus,
  type BusMessage,
  type BusStream,
  BusUnavailableError,
  StreamMissingError,
  type StreamSettings,
  WrongLastSequenceError,
} from './bus.ts'
export { type BusOptions, connectBus } from './connect-bus.ts'
