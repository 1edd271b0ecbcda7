// What the database thread and the server agree on.

/** Slots of the shared Int32Array: the id of the batch to cancel; how many pieces of its answer the client has taken. */
export const CANCEL_SLOT = 0;
export const ACK_SLOT = 1;
export const SLOTS = 2;

/** Pieces of 64 KiB that may be on their way to a client before the database waits for it. */
export const ANSWER_WINDOW = 32;

/** Where a COPY reads the rows that its client sent. */
export const COPY_DEVICE = '/dev/tidegauge_copy';
