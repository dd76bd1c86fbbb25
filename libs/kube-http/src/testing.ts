export { createLlhttp, hostileRequests, type UnderstoodRequest } from './hostile-requests.ts'
