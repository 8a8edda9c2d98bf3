/** Bytes of a frame to what is drawn; the layout is that of view/encode.py. */

import { FREE, LAYERS, type Frame, type FrameHead, type Layer, type Picture } from './types';

export async function decode(data: ArrayBuffer, number: number): Promise<Frame> {
  const size = new DataView(data).getUint32(0, true);
  const body = await unzipped(new Uint8Array(data, 4, size));
  const textSize = new DataView(body.buffer, body.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(body.subarray(4, 4 + textSize))) as FrameHead;
  const reader = new Reader(body, 4 + textSize);
  const cells = head.grid.size[0] * head.grid.size[1] * head.grid.size[2];
  const layers: Frame['layers'] = {};
  for (const name of LAYERS) {
    const described = head.layers[name];
    if (described) layers[name] = readLayer(reader, cells, described.occupied, described.objects);
  }
  const seen = head.has_seen ? unpacked(reader, cells) : null;
  const pictures = await Promise.all(pictureFiles(head, data, 4 + size).map(decoded));
  return { number, head, layers, seen, pictures: pictures.filter((p) => p !== null) };
}

class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
  ) {}

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) throw new Error('the frame is shorter than it says');
    const part = this.bytes.subarray(this.at, this.at + count);
    this.at += count;
    return part;
  }
}

function readLayer(reader: Reader, cells: number, occupied: number, objects: Layer['objects']): Layer {
  const bits = reader.take(Math.ceil(cells / 8));
  const labels = reader.take(occupied);
  const low = objects.length ? reader.take(occupied) : null;
  const high = objects.length ? reader.take(occupied) : null;
  const classes = new Uint8Array(cells).fill(FREE);
  const owners = new Uint16Array(cells);
  let next = 0;
  for (let byte = 0; byte < bits.length; byte++) {
    const value = bits[byte];
    if (!value) continue;
    for (let bit = 0; bit < 8; bit++) {
      if (!(value & (128 >> bit))) continue;
      const cell = byte * 8 + bit;
      classes[cell] = labels[next];
      if (low && high) owners[cell] = low[next] | (high[next] << 8);
      next++;
    }
  }
  if (next !== occupied) throw new Error('the frame holds another number of voxels than it says');
  return { classes, owners, objects, occupied };
}

function unpacked(reader: Reader, cells: number): Uint8Array {
  const bits = reader.take(Math.ceil(cells / 8));
  const values = new Uint8Array(cells);
  for (let cell = 0; cell < cells; cell++) values[cell] = (bits[cell >> 3] >> (7 - (cell & 7))) & 1;
  return values;
}

async function unzipped(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function pictureFiles(head: FrameHead, data: ArrayBuffer, begin: number): { info: Picture['info']; file: Blob }[] {
  return head.cameras.map((info) => {
    const file = new Blob([new Uint8Array(data, begin, info.bytes)], { type: 'image/jpeg' });
    begin += info.bytes;
    return { info, file };
  });
}

/** A picture that this browser cannot read costs that picture, not the frame. */
async function decoded({ info, file }: { info: Picture['info']; file: Blob }): Promise<Picture | null> {
  try {
    return { info, bitmap: await createImageBitmap(file) };
  } catch {
    return null;
  }
}
