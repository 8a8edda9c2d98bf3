/** Where frames come from: this very file, or the server that gave the page. */

import type { Entry, SceneInfo } from './types';

export interface Source {
  scene: SceneInfo;
  entries: Entry[];
  /** Number of the first of `entries`: a live source forgets old ones. */
  first: number;
  /** How many there will be, null when nobody knows. */
  total: number | null;
  done: boolean;
  error: string;
  /** A sentence for the reader, for example why nothing comes. */
  said: string;
  connected: boolean;
  /** Grows when the frames of a number may have become others. */
  epoch: number;
  onchange: () => void;
  load(number: number): Promise<ArrayBuffer>;
}

const RECONNECT_MS = 1000;
export const MAX_LIVE_ENTRIES = 2000;

export async function openSource(): Promise<Source> {
  return document.getElementById('scene') ? new EmbeddedSource() : ServedSource.open();
}

class EmbeddedSource implements Source {
  readonly scene: SceneInfo;
  readonly entries: Entry[];
  readonly first = 0;
  readonly total: number;
  readonly done = true;
  readonly error = '';
  readonly said = '';
  readonly connected = true;
  readonly epoch = 0;
  onchange = () => {};

  constructor() {
    const told = JSON.parse(new TextDecoder().decode(embedded('scene'))) as { scene: SceneInfo; entries: Entry[] };
    this.scene = told.scene;
    this.entries = told.entries;
    this.total = told.entries.length;
  }

  async load(number: number): Promise<ArrayBuffer> {
    return embedded(`frame-${number}`);
  }
}

function embedded(id: string): ArrayBuffer {
  const text = document.getElementById(id)?.textContent;
  if (!text) throw new Error(`this file holds no ${id}: it is not whole`);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes.buffer;
}

interface News {
  first: number;
  entries: Entry[];
  total: number | null;
  done: boolean;
  error: string;
  said: string;
}

class ServedSource implements Source {
  entries: Entry[] = [];
  first = 0;
  total: number | null = null;
  done = false;
  error = '';
  said = '';
  connected = true;
  epoch = 0;
  onchange = () => {};

  private constructor(readonly scene: SceneInfo) {
    this.listen();
  }

  static async open(): Promise<ServedSource> {
    const answer = await fetch('scene');
    if (!answer.ok) throw new Error(`the server answered ${answer.status}: ${await answer.text()}`);
    return new ServedSource((await answer.json()) as SceneInfo);
  }

  /** What the server has is told anew after each connection, so a server that was started again is followed. */
  private listen(): void {
    const events = new EventSource('events');
    let fresh = true;
    events.onmessage = (event) => {
      this.take(JSON.parse(event.data as string) as News, fresh);
      fresh = false;
    };
    events.onerror = () => {
      this.connected = false;
      events.close();
      this.onchange();
      setTimeout(() => this.listen(), RECONNECT_MS);
    };
  }

  private take(news: News, fresh: boolean): void {
    this.connected = true;
    if (fresh) {
      this.epoch++;
      this.entries = [];
      this.first = news.first;
    }
    const skipped = news.first - (this.first + this.entries.length);
    if (skipped > 0) {
      this.entries = [];
      this.first = news.first;
    }
    this.entries.push(...news.entries);
    const surplus = this.scene.source === 'live' ? this.entries.length - MAX_LIVE_ENTRIES : 0;
    if (surplus > 0) {
      this.entries.splice(0, surplus);
      this.first += surplus;
    }
    this.total = news.total;
    this.done = news.done;
    this.error = news.error;
    this.said = news.said;
    this.onchange();
  }

  async load(number: number): Promise<ArrayBuffer> {
    const answer = await fetch(this.scene.source === 'live' ? 'frame/newest' : `frame/${number}`);
    if (!answer.ok) throw new Error(`frame ${number + 1} cannot be fetched: the server answered ${answer.status}`);
    return answer.arrayBuffer();
  }
}
