/** The part of a document between `<!-- NAME:begin ... -->` and `<!-- NAME:end -->`, which a program writes. */
export function replaceSection(document: string, name: string, text: string): string {
  const [begin, end] = bounds(document, name);
  return `${document.slice(0, begin)}\n\n${text.trim()}\n\n${document.slice(end)}`;
}

export function sectionOf(document: string, name: string): string {
  const [begin, end] = bounds(document, name);
  return document.slice(begin, end).trim();
}

function bounds(document: string, name: string): [number, number] {
  const begin = new RegExp(`<!-- ${name}:begin[^>]*-->`).exec(document);
  const end = document.indexOf(`<!-- ${name}:end -->`);
  if (begin === null || end < begin.index) throw new Error(`the document has no section "${name}"`);
  return [begin.index + begin[0].length, end];
}
