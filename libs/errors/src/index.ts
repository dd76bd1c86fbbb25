export { type Category, type Details, Rejection, rejections } from './rejection.ts'
