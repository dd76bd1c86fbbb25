export { type Bus, type BusMessage, type BusStream, WrongLastSequenceError } from './bus.ts'
