import type { Model, View, ViewProps } from '../model';
import { fillWith, h, type Child } from './dom';

/** A view that draws all it shows anew when one of these values of its model is another; its element gets the class. */
export function drawnView(look: string, values: readonly string[], content: (model: Model) => Child): View {
  return {
    render({ model, el }: ViewProps): () => void {
      el.classList.add('mlops-view', look);
      const draw = (): void => fillWith(el, content(model));
      const events = values.map(value => `change:${value}`);
      events.forEach(event => model.on(event, draw));
      draw();
      return () => {
        events.forEach(event => model.off(event, draw));
        el.replaceChildren();
      };
    }
  };
}

/** A part of a view, with its heading. */
export function part(title: string, ...children: Child[]): HTMLElement {
  return h('section', { class: 'mlops-part' }, h('h3', {}, title), children);
}

/** One line of a list of facts (`dl`): what it is called, and what it is. */
export function fact(name: string, value: Child): Child {
  return [h('dt', {}, name), h('dd', {}, value)];
}

/** What may be wider than its place, a table: it is moved sideways in it, by the keyboard, too. */
export function panned(label: string, content: HTMLElement, look = ''): HTMLElement {
  const attributes = { class: `mlops-pan ${look}`.trim(), tabindex: 0, role: 'region', 'aria-label': label };
  return h('div', attributes, content);
}
