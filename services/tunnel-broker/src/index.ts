export { tunnelBrokerService } from './compose.ts'
