export { messageOf } from './message-of.ts'
export { type Category, type Details, Rejection, rejections } from './rejection.ts'
