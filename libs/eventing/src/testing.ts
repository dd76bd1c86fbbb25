export { type FakeEventStore, fakeEventStore } from './testing/fake-event-store.ts'
export { given } from './testing/given.ts'
export { play, type Step } from './testing/play.ts'
export { eventTypesOf, historyRecorder, keptHistories } from './testing/recorded-history.ts'
