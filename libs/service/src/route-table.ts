interface Route {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/** Remembers the routes as they are registered, to tell 405 from 404: the router itself only knows that none matched. */
export class RouteTable {
  private readonly routes = new Map<string, Route>();

  add(route: { readonly url: string; readonly method: string | readonly string[] }): void {
    const known = this.routes.get(route.url) ?? { pattern: patternOf(route.url), methods: new Set<string>() };
    for (const method of [route.method].flat()) known.methods.add(method);
    this.routes.set(route.url, known);
  }

  /** The methods that some route takes at this path, sorted. */
  methodsOf(path: string): readonly string[] {
    const methods = new Set<string>();
    for (const route of this.routes.values()) if (route.pattern.test(path)) for (const method of route.methods) methods.add(method);
    return [...methods].sort();
  }
}

/** find-my-way's syntax: `:name` is a parameter, `::` a colon, `*` anything. */
function patternOf(url: string): RegExp {
  const source = url.split(/(::|:\w+|\*)/).map((part) => {
    if (part === '::') return ':';
    if (part === '*') return '.*';
    if (part.startsWith(':')) return '[^/]+';
    return part.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${source.join('')}$`);
}
