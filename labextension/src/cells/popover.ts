import { fillWith, h, unique } from '../kit/dom';
import { iconButton } from '../kit/icons';
import { t } from '../kit/texts';

/** A box of details beside a badge: one at a time, closed by Escape, by a click elsewhere, and when its cell goes. */
class Popover {
  /** Show content beside an element, or take it away when it is shown there already. */
  toggle(anchor: HTMLElement, heading: string, content: HTMLElement): void {
    const again = this._anchor === anchor;
    this.close(false);
    if (!again) {
      this._open(anchor, heading, content);
    }
  }

  /** Take the box away; the focus goes back to where it was opened from. */
  close(back = true): void {
    const anchor = this._anchor;
    this._stop?.();
    this._stop = null;
    this._anchor = null;
    this._box?.remove();
    this._box = null;
    anchor?.removeAttribute('aria-expanded');
    if (back && anchor?.isConnected) {
      anchor.focus();
    }
  }

  private _open(anchor: HTMLElement, heading: string, content: HTMLElement): void {
    const id = unique('mlops-popover');
    const attributes = { class: 'mlops-view mlops-popover', role: 'dialog', 'aria-labelledby': id, tabindex: '-1' };
    const title = h('h2', { id, class: 'mlops-popover-title' }, heading);
    const box = h('div', attributes);
    const close = iconButton('close', t('Close'), () => this.close());
    fillWith(box, h('div', { class: 'mlops-popover-head' }, title, close), content);
    document.body.appendChild(box);
    place(box, anchor);
    anchor.setAttribute('aria-expanded', 'true');
    this._anchor = anchor;
    this._box = box;
    const stop = new AbortController();
    this._stop = () => stop.abort();
    const { signal } = stop;
    box.addEventListener('keydown', event => this._onKey(event), { signal });
    const outside = (event: Event): void => {
      const target = event.target as Node;
      if (!box.contains(target) && !anchor.contains(target)) {
        this.close(false);
      }
    };
    document.addEventListener('pointerdown', outside, { signal, capture: true });
    document.addEventListener('focusin', outside, { signal });
    // A box that stands where its badge no longer is would say something of another cell.
    const scrolled = (event: Event): void => void (box.contains(event.target as Node) || this.close(false));
    document.addEventListener('scroll', scrolled, { signal, capture: true });
    window.addEventListener('resize', () => this.close(), { signal });
    box.focus({ preventScroll: true });
  }

  private _onKey(event: KeyboardEvent): void {
    // The keys that are pressed in the box are not the notebook's.
    event.stopPropagation();
    if (event.key === 'Escape') {
      event.preventDefault();
      this.close();
    }
  }

  private _anchor: HTMLElement | null = null;
  private _box: HTMLElement | null = null;
  private _stop: (() => void) | null = null;
}

/** The one box of details of this page. */
export const popover = new Popover();

/** Put the box below its anchor where there is room, else above it, and never beyond the window. */
function place(box: HTMLElement, anchor: HTMLElement): void {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const left = Math.max(4, Math.min(at.left, window.innerWidth - width - 4));
  const below = at.bottom + 4;
  const top = below + height <= window.innerHeight - 4 ? below : Math.max(4, at.top - height - 4);
  box.style.left = `${left}px`;
  box.style.top = `${top}px`;
}
