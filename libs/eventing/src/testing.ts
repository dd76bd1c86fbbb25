export { type FakeEventStore, fakeEventStore } from './testing/fake-event-store.ts'
export { given } from './testing/given.ts'
export { play, type Step } from './testing/play.ts'
export { historyRecorder, plain, type RecordedHistory } from './testing/recorded-history.ts'
