/** Of the participant's side: travels with others, its rows read by whoever sent it. Named: parsed and planned once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}
