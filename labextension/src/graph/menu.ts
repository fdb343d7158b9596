import { h } from '../kit/dom';

/** An entry of a menu: its words, and what it does. */
export interface Entry {
  words: string;
  act: () => void;
}

/** Open a small menu below an element of a view; Escape, Tab, a click elsewhere or the choice of an entry close it. */
export function openMenu(host: HTMLElement, anchor: HTMLElement, label: string, entries: Entry[]): void {
  const close = (back: boolean): void => {
    document.removeEventListener('pointerdown', outside, true);
    menu.remove();
    if (back) {
      anchor.focus();
    }
  };
  const outside = (event: Event): void => {
    if (!menu.contains(event.target as Node)) {
      close(false);
    }
  };
  const items = entries.map(({ words, act }) => {
    const chosen = (): void => {
      close(true);
      act();
    };
    return h(
      'button',
      { type: 'button', role: 'menuitem', tabindex: -1, class: 'mlops-menu-item', on: { click: chosen } },
      words
    );
  });
  const keys = (event: KeyboardEvent): void => {
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
    if (next !== undefined) {
      items[next % items.length].focus();
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      close(true);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const menu = h('div', { class: 'mlops-menu', role: 'menu', 'aria-label': label, on: { keydown: keys } }, items);
  host.appendChild(menu);
  const [place, around] = [anchor.getBoundingClientRect(), host.getBoundingClientRect()];
  const left = Math.max(0, Math.min(place.left - around.left, around.width - menu.offsetWidth));
  menu.style.left = `${left}px`;
  menu.style.top = `${place.bottom - around.top + 2}px`;
  document.addEventListener('pointerdown', outside, true);
  items[0]?.focus();
}
