export { gatewayService } from './definition.ts'
