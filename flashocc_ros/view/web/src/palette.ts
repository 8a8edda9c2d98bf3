/** Colours as whole numbers 0xRRGGBB. */

import type { SceneInfo } from './types';

export class Palette {
  private readonly rows: Uint8Array;

  constructor(scene: SceneInfo) {
    this.rows = Uint8Array.from(atob(scene.palette), (letter) => letter.charCodeAt(0));
  }

  row(index: number): number {
    const at = 3 * index;
    return (this.rows[at] << 16) | (this.rows[at + 1] << 8) | this.rows[at + 2];
  }

  get vehicle(): number {
    return this.row(0);
  }

  ofClass(index: number): number {
    return this.row(1 + index);
  }
}

export function css(color: number): string {
  return `#${color.toString(16).padStart(6, '0')}`;
}

export function mixed(a: number, b: number, share: number): number {
  const part = (shift: number) =>
    Math.round(((a >> shift) & 255) * (1 - share) + ((b >> shift) & 255) * share) << shift;
  return part(16) | part(8) | part(0);
}

/** Heights from the ground up; steps of viridis, which stays readable without colour vision. */
const HEIGHTS = [0x440154, 0x46327e, 0x365c8d, 0x277f8e, 0x1fa187, 0x4ac16d, 0xa0da39, 0xfde725];

export function ofHeight(share: number): number {
  const at = Math.min(Math.max(share, 0), 1) * (HEIGHTS.length - 1);
  const below = Math.min(Math.floor(at), HEIGHTS.length - 2);
  return mixed(HEIGHTS[below], HEIGHTS[below + 1], at - below);
}

export const DIFFERENCES = [
  { key: 'same', label: 'same class', color: 0x6f7a86 },
  { key: 'other', label: 'other class', color: 0xf2b134 },
  { key: 'extra', label: 'only predicted', color: 0xff4d6d },
  { key: 'missed', label: 'only in the truth', color: 0x3aa7ff },
] as const;
