export { type FakeEventStore, fakeEventStore } from './testing/fake-event-store.ts'
export { given } from './testing/given.ts'
