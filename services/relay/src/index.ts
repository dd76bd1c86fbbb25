export { relayService } from './definition.ts'
