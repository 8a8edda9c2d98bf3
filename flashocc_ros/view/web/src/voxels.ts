/**
 * Faces on the GPU: their words lie in a texture that the vertices read, lit, with dark corners and edges.
 *
 * Not an instanced quad: software renderers draw instances one by one, which takes seconds for so many.
 */

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  DataTexture,
  GLSL3,
  Group,
  LessEqualDepth,
  Mesh,
  RGIntegerFormat,
  ShaderMaterial,
  UnsignedIntType,
} from 'three';
import { facesOf, type Faces } from './faces';
import type { Painting } from './paint';
import type { GridInfo } from './types';

const WIDTH = 1024;

const VERTEX = `
precision highp usampler2D;
uniform usampler2D words;
uniform float resolution;
uniform vec3 origin;
out vec2 corner;
flat out vec4 light;
flat out vec3 tint;
flat out float unseen;
out float away;

const vec3 NORMAL[6] = vec3[6](vec3(1,0,0), vec3(-1,0,0), vec3(0,1,0), vec3(0,-1,0), vec3(0,0,1), vec3(0,0,-1));
const vec3 ACROSS[6] = vec3[6](vec3(0,1,0), vec3(0,0,1), vec3(0,0,1), vec3(1,0,0), vec3(1,0,0), vec3(0,1,0));
const vec3 ALONG[6] = vec3[6](vec3(0,0,1), vec3(0,1,0), vec3(1,0,0), vec3(0,0,1), vec3(0,1,0), vec3(1,0,0));
const vec2 CORNER[4] = vec2[4](vec2(0,0), vec2(1,0), vec2(1,1), vec2(0,1));

void main() {
  int face = gl_VertexID >> 2;
  uvec2 word = texelFetch(words, ivec2(face & ${WIDTH - 1}, face / ${WIDTH}), 0).rg;
  int direction = int((word.x >> 28) & 7u);
  uint corners = word.y >> 24;
  corner = CORNER[gl_VertexID & 3];
  light = vec4(corners & 3u, (corners >> 2) & 3u, (corners >> 4) & 3u, (corners >> 6) & 3u) / 3.0;
  vec3 normalBase = NORMAL[direction];
  // squared instead of the power 2.2: as good to the eye, and cheap where no GPU is
  vec3 screen = vec3((word.y >> 16) & 255u, (word.y >> 8) & 255u, word.y & 255u) / 255.0;
  tint = screen * screen;
  unseen = float(word.x >> 31);
  vec3 cell = vec3(word.x & 1023u, (word.x >> 10) & 1023u, (word.x >> 20) & 255u);
  vec3 at = cell + 0.5 + 0.5 * normalBase + (corner.x - 0.5) * ACROSS[direction] + (corner.y - 0.5) * ALONG[direction];
  vec3 base = origin + resolution * at;
  away = length(base.xy);
  float sun = max(dot(normalBase, normalize(vec3(-0.45, 0.35, 0.9))), 0.0);
  tint *= 0.56 + 0.1 * normalBase.z + 0.42 * sun;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(base, 1.0);
}`;

const FRAGMENT = `
precision highp float;
in vec2 corner;
flat in vec4 light;
flat in vec3 tint;
flat in float unseen;
in float away;
uniform float opacity;
uniform float edges;
uniform vec3 ground;
uniform float reach;
out vec4 shown;

void main() {
  float corners = mix(mix(light.x, light.y, corner.x), mix(light.z, light.w, corner.x), corner.y);
  vec2 inside = min(corner, 1.0 - corner);
  vec2 pixel = fwidth(corner);
  vec2 line = 1.0 - smoothstep(vec2(0.0), 1.4 * pixel + 0.025, inside);
  float wide = max(pixel.x, pixel.y);
  float dark = edges * 0.38 * max(line.x, line.y) * (1.0 - smoothstep(0.12, 0.45, wide));
  vec3 screen = sqrt(tint * ((0.5 + 0.5 * corners) * (1.0 - dark)));
  float grey = dot(screen, vec3(0.3, 0.59, 0.11));
  screen = mix(screen, mix(vec3(grey), ground, 0.5), 0.55 * unseen);
  screen = mix(screen, ground, 0.55 * smoothstep(0.6 * reach, 1.5 * reach, away));
  shown = vec4(screen, opacity);
}`;

export const GROUND = 0x14181d;

/** The voxels of one picture of the scene. */
export class Voxels extends Group {
  private readonly geometry = new BufferGeometry();
  private readonly material: ShaderMaterial;
  private readonly depthMesh: Mesh;
  private texture: DataTexture | null = null;
  private faces?: Faces;
  painting?: Painting;

  constructor() {
    super();
    const uniforms = {
      words: { value: null },
      resolution: { value: 1 },
      origin: { value: [0, 0, 0] },
      opacity: { value: 1 },
      edges: { value: 1 },
      ground: { value: new Color().setHex(GROUND, 'srgb-linear') },
      reach: { value: 40 },
    };
    const shared = { uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, glslVersion: GLSL3 } as const;
    this.material = new ShaderMaterial({ ...shared, depthFunc: LessEqualDepth });
    // Where voxels are seen through, depth is drawn first, so that of several behind each other the nearest alone shows.
    this.depthMesh = new Mesh(this.geometry, new ShaderMaterial({ ...shared, colorWrite: false }));
    const mesh = new Mesh(this.geometry, this.material);
    mesh.frustumCulled = this.depthMesh.frustumCulled = false;
    this.depthMesh.renderOrder = 1;
    mesh.renderOrder = 2;
    this.add(this.depthMesh, mesh);
    this.setOpacity(1);
  }

  show(painting: Painting, grid: GridInfo): void {
    this.painting = painting;
    const faces = (this.faces = facesOf(painting, this.faces));
    const held = faces.words.length / 2;
    if (!this.texture || this.texture.image.data !== faces.words) this.grow(faces.words, held);
    this.texture!.needsUpdate = true;
    this.geometry.setDrawRange(0, 6 * faces.count);
    const uniforms = this.material.uniforms;
    uniforms.words.value = this.texture;
    uniforms.resolution.value = grid.resolution;
    uniforms.origin.value = grid.origin;
    uniforms.reach.value = (Math.min(grid.size[0], grid.size[1]) * grid.resolution) / 2;
  }

  /** Texture and corners for as many faces as there is room for. */
  private grow(words: Uint32Array, held: number): void {
    this.texture?.dispose();
    this.geometry.dispose();
    this.texture = new DataTexture(words, WIDTH, held / WIDTH, RGIntegerFormat, UnsignedIntType);
    this.texture.internalFormat = 'RG32UI';
    const corners = new Uint32Array(6 * held);
    for (let face = 0; face < held; face++) corners.set([0, 1, 2, 0, 2, 3].map((k) => 4 * face + k), 6 * face);
    this.geometry.setIndex(new BufferAttribute(corners, 1));
  }

  get faceCount(): number {
    return this.faces?.count ?? 0;
  }

  setOpacity(value: number): void {
    this.material.uniforms.opacity.value = value;
    this.material.transparent = value < 1;
    this.depthMesh.visible = value < 1;
  }

  setEdges(on: boolean): void {
    this.material.uniforms.edges.value = on ? 1 : 0;
  }
}
