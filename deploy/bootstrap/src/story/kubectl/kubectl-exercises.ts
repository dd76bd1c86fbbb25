import type { KubectlExercise } from './exercise.ts'
import { objectExercises } from './object-exercises.ts'
import { podExercises } from './pod-exercises.ts'
import { streamExercises } from './stream-exercises.ts'

/** What kubectl is used for, in this order, on a namespace that holds nothing yet. */
export function kubectlExercises(): readonly KubectlExercise[] {
  return [
    ...objectExercises,
    ...podExercises,
    ...streamExercises('websocket'),
    ...streamExercises('spdy'),
  ]
}
