export { type Outsider, openOutsider } from './testing/outsider.ts'
