/** For people and for a reason's detail; at most 500 characters. */
export function describeError(error: unknown): string {
  return (error instanceof Error ? error.message || error.name : String(error)).slice(0, 500);
}
