/** How long what stops may serve on, and how long what runs may go on then. */
export const DRAIN = { noticeSeconds: 2, seconds: 8 } as const
