/** Names in the scene that do not cover each other: the more important ones first, those without room left out. */

import { Camera, Matrix4, Vector3 } from 'three';
import { element } from './dom';

export interface Label {
  text: string;
  /** Base frame. */
  at: Vector3;
  /** Lower ones come first. */
  rank: number;
  kind: 'object' | 'distance' | 'camera';
  color?: string;
}

export interface Part {
  left: number;
  top: number;
  width: number;
  height: number;
}

interface Placed {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const FONT = '600 11px system-ui, sans-serif';
const HEIGHT = 17;
const PADDING = 12;
const DOT = 11;
const GAP = 3;
const MOST = 60;

export class Labels {
  readonly root = element('div', { class: 'labels', 'aria-hidden': 'true' });
  private readonly pool: HTMLElement[] = [];
  private readonly measure = document.createElement('canvas').getContext('2d')!;
  private readonly widths = new Map<string, number>();
  private used = 0;
  private readonly placed: Placed[] = [];

  begin(): void {
    this.used = 0;
    this.placed.length = 0;
  }

  /** Place what has room in a part of the picture. */
  place(labels: Label[], camera: Camera, root: Matrix4, part: Part): void {
    const point = new Vector3();
    for (const label of [...labels].sort((a, b) => a.rank - b.rank)) {
      if (this.used >= MOST) return;
      point.copy(label.at).applyMatrix4(root).applyMatrix4(camera.matrixWorldInverse);
      if (point.z > -0.5) continue; // behind the viewer
      point.applyMatrix4(camera.projectionMatrix);
      const x = part.left + ((point.x + 1) / 2) * part.width;
      const y = part.top + ((1 - point.y) / 2) * part.height;
      const width = this.width(label.text) + PADDING + (label.color ? DOT : 0);
      const left = Math.round(x - width / 2);
      const top = Math.round(label.kind === 'object' ? y - HEIGHT - 4 : y - HEIGHT / 2);
      const box = { left, top, right: left + width, bottom: top + HEIGHT };
      if (left < part.left || top < part.top) continue;
      if (box.right > part.left + part.width || box.bottom > part.top + part.height) continue;
      if (this.placed.some((other) => overlap(box, other))) continue;
      this.placed.push(box);
      this.draw(label, left, top, width);
    }
  }

  end(): void {
    for (let k = this.used; k < this.pool.length; k++) this.pool[k].hidden = true;
  }

  private draw(label: Label, left: number, top: number, width: number): void {
    let chip = this.pool[this.used];
    if (!chip) {
      chip = element('div', {}, element('i'), element('span'));
      this.pool.push(chip);
      this.root.append(chip);
    }
    this.used++;
    chip.hidden = false;
    chip.className = `label ${label.kind}`;
    const dot = chip.firstChild as HTMLElement;
    dot.hidden = !label.color;
    dot.style.background = label.color ?? '';
    chip.lastChild!.textContent = label.text;
    chip.style.transform = `translate(${left}px, ${top}px)`;
    chip.style.width = `${width}px`;
  }

  private width(text: string): number {
    let width = this.widths.get(text);
    if (width === undefined) {
      this.measure.font = FONT;
      width = Math.ceil(this.measure.measureText(text).width);
      if (this.widths.size > 5000) this.widths.clear();
      this.widths.set(text, width);
    }
    return width;
  }
}

function overlap(a: Placed, b: Placed): boolean {
  return a.left < b.right + GAP && a.right + GAP > b.left && a.top < b.bottom + GAP && a.bottom + GAP > b.top;
}
