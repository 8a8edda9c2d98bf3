/** What is below the pointer: class, object, place, and what the other layer says. */

import { speedText, type App } from './app';
import { element } from './dom';
import { objectKey } from './paint';
import type { Picked } from './stage';
import { FREE, LAYERS, type LayerName } from './types';

const CLICK_PX = 4;
const SHIFT_PX = 14;

export class Tooltip {
  readonly root = element('div', { class: 'tooltip', role: 'status', hidden: true });
  private pressed: [number, number] | null = null;

  constructor(
    private readonly app: App,
    private readonly area: HTMLElement,
  ) {
    const { canvas } = app.stage;
    canvas.addEventListener('pointermove', (event) => {
      if (event.buttons) this.root.hidden = true;
      else this.show(event);
    });
    canvas.addEventListener('pointerleave', () => (this.root.hidden = true));
    canvas.addEventListener('pointerdown', (event) => (this.pressed = [event.clientX, event.clientY]));
    canvas.addEventListener('pointerup', (event) => {
      const from = this.pressed;
      this.pressed = null;
      if (from && Math.hypot(event.clientX - from[0], event.clientY - from[1]) < CLICK_PX) this.click(event);
    });
  }

  private at(event: PointerEvent): [number, number] {
    const box = this.app.stage.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private show(event: PointerEvent): void {
    const [x, y] = this.at(event);
    const camera = this.app.stage.pickCamera(x, y);
    const picked = camera ? null : this.app.stage.pickVoxel(x, y);
    this.app.stage.canvas.style.cursor = camera ? 'pointer' : '';
    this.root.hidden = !camera && !picked;
    if (camera) this.root.replaceChildren(element('b', {}, camera), element('span', {}, 'click to look through'));
    else if (picked) this.root.replaceChildren(...this.lines(picked).map((line, k) => element(k ? 'span' : 'b', {}, line)));
    if (this.root.hidden) return;
    const { clientWidth, clientHeight } = this.area;
    const left = x + SHIFT_PX + this.root.offsetWidth > clientWidth ? x - SHIFT_PX - this.root.offsetWidth : x + SHIFT_PX;
    const top = Math.min(y + SHIFT_PX, clientHeight - this.root.offsetHeight - 4);
    this.root.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  /** What is known of a voxel, a line each. */
  lines({ shown, hit }: Picked): string[] {
    const frame = this.app.frame!;
    const names = shown === 'difference' || this.app.comparable ? LAYERS : [shown];
    const first = shown === 'difference' ? null : shown;
    const lines: string[] = [];
    const told = first ? [first, ...names.filter((name) => name !== first)] : names;
    for (const name of told) {
      const text = this.describe(name, hit.cell);
      lines.push(name === first && lines.length === 0 ? text : `${name}: ${text}`);
    }
    const [x, y, z] = hit.center;
    lines.push(`x ${x.toFixed(1)}  y ${y.toFixed(1)}  z ${z.toFixed(1)} m   ${Math.hypot(x, y).toFixed(1)} m away`);
    if (frame.seen && !frame.seen[hit.cell]) lines.push('seen by no camera');
    return lines;
  }

  private describe(name: LayerName, cell: number): string {
    const layer = this.app.frame!.layers[name];
    const label = layer?.classes[cell] ?? FREE;
    if (label === FREE) return 'free';
    const thing = layer!.objects[layer!.owners[cell] - 1];
    if (!thing) return this.app.className(label);
    const score = thing.score > 0 ? `  score ${thing.score.toFixed(2)}` : '';
    const speed = thing.velocity ? `  ${speedText(thing)}` : '';
    return `${this.app.className(label)} ${thing.id}${score}${speed}`;
  }

  private click(event: PointerEvent): void {
    const [x, y] = this.at(event);
    const camera = this.app.stage.pickCamera(x, y);
    if (camera) {
      this.root.hidden = true;
      this.app.choices.set({ view: 'camera', camera });
      return;
    }
    const picked = this.app.stage.pickVoxel(x, y);
    this.app.choices.set({ selected: picked ? this.owner(picked) : '' });
  }

  private owner({ shown, hit }: Picked): string {
    for (const name of shown === 'difference' ? LAYERS : [shown]) {
      const layer = this.app.frame!.layers[name];
      const thing = layer?.objects[layer.owners[hit.cell] - 1];
      if (thing) return objectKey(name, thing.id);
    }
    return '';
  }
}
