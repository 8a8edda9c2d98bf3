/** Decoded frames: the one on show, the next ones, and a few that were. */

import { decode } from './decode';
import type { Source } from './source';
import type { Frame } from './types';

const KEPT = 8;

export class Frames {
  private readonly held = new Map<number, Promise<Frame>>();
  private epoch = 0;

  constructor(private readonly source: Source) {}

  get(number: number): Promise<Frame> {
    if (this.epoch !== this.source.epoch) {
      this.epoch = this.source.epoch;
      this.held.clear();
    }
    const known = this.held.get(number);
    if (known) {
      this.held.delete(number);
      this.held.set(number, known); // used last
      return known;
    }
    const loading = this.source.load(number).then((data) => decode(data, number));
    this.held.set(number, loading);
    loading.catch(() => this.held.delete(number));
    while (this.held.size > KEPT) {
      const [oldest] = this.held.keys();
      this.held.delete(oldest);
    }
    return loading;
  }

  /** Begin to load what comes next. */
  prefetch(numbers: number[]): void {
    for (const number of numbers) this.get(number).catch(() => {});
  }
}
