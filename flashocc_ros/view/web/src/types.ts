/** What Python tells the page; view/scene.py, view/store.py and view/encode.py write it. */

export interface ClassRow {
  name: string;
  thing: boolean;
  flat: boolean;
}

export interface SceneInfo {
  title: string;
  note: string;
  source: 'recording' | 'live';
  classes: ClassRow[];
  palette: string;
  vehicle_boxes: number[][];
}

/** Of a frame that exists: what the timeline and the path need. */
export interface Entry {
  stamp_ns: string;
  /** Three rows of four: the vehicle in the fixed frame. */
  odom_from_base: number[] | null;
}

export interface Thing {
  id: number;
  class: number;
  score: number;
  center: [number, number, number];
  extent: [number, number, number];
  /** Metres per second over ground, base frame; of what is known to move. */
  velocity: [number, number, number] | null;
  voxels: number;
  /** Row of the palette. */
  color: number;
}

export interface GridInfo {
  resolution: number;
  origin: [number, number, number];
  size: [number, number, number];
}

export interface CameraInfo {
  name: string;
  bytes: number;
  /** 3 x 3, pixels of the sent picture. */
  intrinsic: number[];
  /** 4 x 4, optical frame (z forward, x right, y down). */
  base_from_camera: number[];
}

export interface ReportInfo {
  level: 'ok' | 'warn' | 'error';
  message: string;
  values: [string, string][];
}

export interface FrameHead {
  stamp_ns: string;
  grid: GridInfo;
  odom_from_base: number[] | null;
  report: ReportInfo;
  layers: Partial<Record<LayerName, { occupied: number; objects: Thing[] }>>;
  has_seen: boolean;
  cameras: CameraInfo[];
}

export type LayerName = 'prediction' | 'truth';
export const LAYERS: LayerName[] = ['prediction', 'truth'];

/** Value of a voxel where nothing is. */
export const FREE = 255;

/** Classes and objects of a grid, z running fastest. */
export interface Layer {
  classes: Uint8Array;
  /** 1 + row in `objects`, 0 for none. */
  owners: Uint16Array;
  objects: Thing[];
  occupied: number;
}

export interface Picture {
  info: CameraInfo;
  bitmap: ImageBitmap;
}

export interface Frame {
  number: number;
  head: FrameHead;
  layers: Partial<Record<LayerName, Layer>>;
  /** 1 where a camera sees the voxel. */
  seen: Uint8Array | null;
  pictures: Picture[];
}
