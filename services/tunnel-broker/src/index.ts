export { tunnelBrokerService } from './definition.ts'
