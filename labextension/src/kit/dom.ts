/** What may stand inside an element: text is always shown as text, never read as HTML. */
export type Child = Node | string | number | null | undefined | false | Child[];

/**
 * Attributes of an element; `on` holds listeners, `data` its data attributes; null, undefined and false are left out.
 */
export interface Attributes {
  on?: Record<string, (event: any) => void>;
  data?: Record<string, string>;
  [name: string]: unknown;
}

/**
 * Make an HTML element. `class`, `aria-*` and others are set as attributes, `value`, `checked` and `disabled` as
 * properties too.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

/** Make an SVG element. */
export function s(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

/** Put other children in the place of those that an element has. */
export function fillWith(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

/** A button with a text. */
export function button(text: string, act: (event: MouseEvent) => void, attributes: Attributes = {}): HTMLButtonElement {
  const { on, ...others } = attributes;
  return h('button', { type: 'button', class: 'mlops-button', ...others, on: { ...on, click: act } }, text);
}

/** A number that no other element of this page has, for ids. */
export function unique(prefix: string): string {
  serial += 1;
  return `${prefix}-${serial}-${Math.random().toString(36).slice(2, 7)}`;
}

let serial = 0;

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'selected', 'indeterminate', 'hidden', 'open']);

function assign(element: Element, attributes: Attributes): void {
  const { on, data, ...others } = attributes;
  for (const [name, value] of Object.entries(others)) {
    if (PROPERTIES.has(name)) {
      if (value !== undefined && value !== null) {
        (element as any)[name] = value;
      }
    } else if (value === true) {
      element.setAttribute(name, '');
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  for (const [name, value] of Object.entries(data ?? {})) {
    element.setAttribute(`data-${name}`, value);
  }
  for (const [name, listener] of Object.entries(on ?? {})) {
    element.addEventListener(name, listener);
  }
}

function append(element: Element, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) {
      append(element, child);
    } else if (child instanceof Node) {
      element.appendChild(child);
    } else if (child !== null && child !== undefined && child !== false) {
      element.appendChild(document.createTextNode(String(child)));
    }
  }
}
