/**
 * The filter that a typed text means: one that compares ("auc > 0.8 and C = 0.1") as it is, any other as a part of
 * the name.
 */
export function whereOf(typed: string): string {
  const text = typed.trim();
  if (!text || COMPARES.test(text)) {
    return text;
  }
  const quote = text.includes("'") ? '"' : "'";
  return `name ILIKE ${quote}%${text.split(quote).join('_')}%${quote}`;
}

/** What the verb sorts by, of the table's sort: "-metrics.auc", "name", "-started". */
export function sortOf(sort: { column: string; descending: boolean } | null): string {
  if (!sort) {
    return '';
  }
  const [kind, ...rest] = sort.column.split(':');
  const name = rest.length ? `${kind}s.${rest.join(':')}` : kind;
  return `${sort.descending ? '-' : ''}${name}`;
}

const COMPARES = /!=|[<>=]|\b(i?like|in|is)\b\s*(['"(]|not\b|null\b)/i;
