"""Colours: procedural textures, sun, sky, shadows, fog, wet ground, lamps at night, exposure and noise."""

from __future__ import annotations

import numba
import numpy as np

from flashocc_ros.data.synthetic.materials import (
    BARK,
    BRICK,
    CLOTH,
    CONCRETE,
    FACADE,
    GLASS,
    GLOW,
    LEAVES,
    MESH,
    METAL,
    PAINT,
    RUBBER,
    STRIPES,
)
from flashocc_ros.data.synthetic.raster import FAR_M, ground_hit, hash32, hash_cell, sunlit
from flashocc_ros.data.synthetic.shapes import unit_normal
from flashocc_ros.data.synthetic.street import DRIVEABLE, SIDEWALK, TERRAIN, base_height, ground_class
from flashocc_ros.labels import FREE

_GAMMA = (255.0 * np.clip(1.0 - np.exp(-1.5 * np.arange(4097) / 1024.0), 0, 1) ** (1 / 2.2)).astype(np.float32)


@numba.njit(cache=True, fastmath=True, nogil=True)
def value_noise(x, y, seed):  # type: ignore[no-untyped-def]
    """Smooth noise in [0, 1) with unit cells."""
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = int(fx), int(fy)
    x -= fx
    y -= fy
    x = x * x * (3 - 2 * x)
    y = y * y * (3 - 2 * y)
    low = hash_cell(ix, iy, seed) * (1 - x) + hash_cell(ix + 1, iy, seed) * x
    high = hash_cell(ix, iy + 1, seed) * (1 - x) + hash_cell(ix + 1, iy + 1, seed) * x
    return low * (1 - y) + high * y


@numba.njit(inline="always", cache=True)
def _line(distance, half, blur):  # type: ignore[no-untyped-def]
    """Antialiased coverage of a painted line of half width ``half``."""
    cover = (half + 0.5 * blur - abs(distance)) / max(blur, 1e-3)
    return min(max(cover, 0.0), 1.0) * min(1.0, 2 * half / max(blur, 1e-3))


@numba.njit(cache=True, fastmath=True, nogil=True)
def _paint_on_road(ground, x, y, s, d, edge, side, across_blur, along_blur):  # type: ignore[no-untyped-def]
    """(white, yellow) coverage of road marks."""
    p = ground.profile
    white, yellow = 0.0, 0.0
    near_mouth = 1e9
    for k in range(ground.side.shape[0]):
        row = ground.side[k]
        gap = abs(s - row[5]) - row[4]
        near_mouth = min(near_mouth, gap)
        if abs(d) < p[0] and 1.6 < gap < 4.6:  # zebra across the main street
            phase = d / 1.1 - np.floor(d / 1.1)
            white = max(white, _line(phase - 0.5, 0.25, across_blur / 1.1) * min(1.0, 3.0 / (1.0 + along_blur)))
        elif abs(d) < p[0] and 5.4 < gap < 5.8:
            white = max(white, min(1.0, 0.5 / max(along_blur, 0.5)))
        if side == k and abs(d) > p[0] - 0.5:
            across = (y - row[1]) * row[2] - (x - row[0]) * row[3]
            if p[0] + 1.2 < abs(d) < p[0] + 3.8:
                phase = across / 1.1 - np.floor(across / 1.1)
                white = max(white, _line(phase - 0.5, 0.25, across_blur / 1.1))
            elif abs(d) > p[0] + 5.0:
                yellow = max(yellow, _line(across, 0.07, across_blur))
    if near_mouth > 6.0 and abs(d) < p[0]:
        a = abs(d)
        limit = p[2] + p[4] * p[3]
        white = max(white, _line(a - limit, 0.07, across_blur))
        if p[2] <= 0:
            yellow = max(yellow, _line(a - 0.14, 0.06, across_blur))
        else:
            yellow = max(yellow, _line(a - p[2] - 0.25, 0.06, across_blur))
        if p[4] > 1:
            phase = (s + p[6]) / 7.5 - np.floor((s + p[6]) / 7.5)
            if phase < 0.45:
                white = max(white, _line(a - p[2] - p[3], 0.07, across_blur))
    return white, yellow


@numba.njit(cache=True, fastmath=True, nogil=True)
def _ground_color(ground, x, y, edge, s, d, paved, side, z, fx, seed):  # type: ignore[no-untyped-def]
    """(r, g, b, shine, class) of the ground."""
    label = ground_class(ground.profile, edge, d, paved, side)
    blur = z / fx
    fine = hash_cell(int(np.floor(x * 25)), int(np.floor(y * 25)), seed) if blur < 0.02 else 0.5
    rough = value_noise(x * 0.7, y * 0.7, seed) * 0.6 + value_noise(x * 3.1, y * 3.1, seed + 1) * 0.4
    tint = ground.profile[7]
    if label == DRIVEABLE:
        g = 0.085 + 0.02 * tint + 0.05 * rough + 0.03 * (fine - 0.5)
        crack = value_noise(x * 0.35 + 7, y * 0.35, seed + 2)
        if abs(crack - 0.5) < 0.012 + blur * 0.2:
            g *= 0.82
        white, yellow = _paint_on_road(ground, x, y, s, d, edge, side, blur * 1.3, z * z / (fx * 1.5))
        worn = 0.75 + 0.25 * rough
        white *= worn
        yellow *= worn
        if edge > -0.35:  # gutter
            g *= 1.15
        r = g * (1 - white) + 0.62 * white
        gg = g * (1 - white) + 0.62 * white
        b = g * 1.04 * (1 - white) + 0.6 * white
        return (
            r * (1 - yellow) + 0.6 * yellow,
            gg * (1 - yellow) + 0.4 * yellow,
            b * (1 - yellow) + 0.04 * yellow,
            0.9,
            label,
        )
    if label == SIDEWALK:
        g = 0.29 + 0.03 * tint + 0.07 * rough + 0.04 * (fine - 0.5)
        if edge < 0.16:
            return g * 1.25, g * 1.22, g * 1.17, 0.5, label
        joint = min(abs(s / 1.2 - np.round(s / 1.2)), abs(edge / 1.2 - np.round(edge / 1.2))) * 1.2
        g *= 1.0 - 0.3 * _line(joint, 0.025, blur * 1.5)
        return g * 1.03, g, g * 0.94, 0.5, label
    if label == TERRAIN:
        lawn = value_noise(x * 0.15, y * 0.15, seed + 3)
        k = 0.65 + 0.5 * rough + 0.45 * (fine - 0.5)
        if lawn > 0.72:  # bare earth
            return 0.2 * k, 0.14 * k, 0.085 * k, 0.2, label
        return (0.075 + 0.07 * lawn) * k, (0.17 + 0.02 * lawn) * k, 0.035 * k, 0.2, label
    bx, by = np.floor(s / 0.8), np.floor(d / 0.4 + 0.5 * (bx_odd(s)))
    stone = hash_cell(int(bx), int(by), seed + 4) if blur < 0.15 else 0.5
    k = 0.75 + 0.3 * rough + 0.35 * (stone - 0.5)
    return 0.3 * k, 0.19 * k, 0.145 * k, 0.4, label


@numba.njit(inline="always", cache=True)
def bx_odd(s):  # type: ignore[no-untyped-def]
    """1 on every second row of paving stones."""
    return np.int64(np.floor(s / 0.8)) & 1


@numba.njit(cache=True, fastmath=True, nogil=True)
def _sky(light, dx, dy, dz, seed):  # type: ignore[no-untyped-def]
    up = min(max(dz, 0.0), 1.0)
    k = np.sqrt(up)
    r = light.horizon[0] * (1 - k) + light.zenith[0] * k
    g = light.horizon[1] * (1 - k) + light.zenith[1] * k
    b = light.horizon[2] * (1 - k) + light.zenith[2] * k
    if light.clouds > 0 and dz > 0.02:
        x, y = dx / (dz + 0.08), dy / (dz + 0.08)
        n = value_noise(x * 1.2, y * 1.2, seed) * 0.6 + value_noise(x * 3.5, y * 3.5, seed) * 0.4
        c = min(max((n - 0.75 + 0.5 * light.clouds) * 4.0, 0.0), 1.0) * min(1.0, dz * 6)
        w = 0.45 + 0.6 * (light.sun_color[1] * 0.5)
        r, g, b = r * (1 - c) + (w + 0.1) * c, g * (1 - c) + w * c, b * (1 - c) + w * c
    toward = dx * light.sun[0] + dy * light.sun[1] + dz * light.sun[2]
    if toward > 0.9 and light.clouds > 0:
        glow = ((toward - 0.9) * 10) ** 6 * 1.5
        r += light.sun_color[0] * glow
        g += light.sun_color[1] * glow
        b += light.sun_color[2] * glow
    return r, g, b


@numba.njit(cache=True, fastmath=True, nogil=True)
def _facade(x, y, z, nx, half_z, seed, night, r, g, b):  # type: ignore[no-untyped-def]
    """Windows on a wall: (r, g, b, glass, glow)."""
    along = y if abs(nx) > 0.5 else x
    spacing = 1.7 + 1.6 * hash_cell(seed, 1, 7)
    storey = 2.9 + 0.7 * hash_cell(seed, 2, 7)
    wide = 0.22 + 0.16 * hash_cell(seed, 3, 7)
    tall = 0.2 + 0.14 * hash_cell(seed, 4, 7)
    up = (z + half_z - 1.0) / storey
    column = along / spacing
    fu, fv = column - np.floor(column) - 0.5, up - np.floor(up) - 0.5
    if up > 0.15 and z < half_z - 0.7 and abs(fu) < wide and abs(fv) < tall:
        lit = hash_cell(int(np.floor(column)) + 100, int(np.floor(up)), seed)
        if abs(fu) > wide - 0.035 or abs(fv) > tall - 0.03 or abs(fu) < 0.012:
            return 0.55, 0.53, 0.5, 0.0, 0.0
        if night > 0 and lit < 0.4:
            return 0.9, 0.62, 0.28, 0.0, 0.9
        return 0.03, 0.035, 0.045, 1.0, 0.0
    k = 0.88 + 0.16 * value_noise(along * 0.8, z * 0.8, seed)
    if hash_cell(seed, 5, 7) < 0.5:  # courses of bricks or panels
        course = z / 0.4 - np.floor(z / 0.4)
        k *= 0.9 + 0.1 * (course > 0.12)
    if abs(fv) > 0.46:
        k *= 0.85
    return r * k, g * k, b * k, 0.0, 0.0


@numba.njit(cache=True, fastmath=True, nogil=True)
def shade_camera(
    solids, ground, light, lamps, headlamps, shadow, tops, origin, world_from_camera, k, seed, noise_seed,
    depth, index, rgb, label, instance,
):  # type: ignore[no-untyped-def]  # fmt: skip
    """Finish a picture whose solids are drawn: ground, sky and colours.

    In: ``depth`` and ``index`` of ``draw_solids``. Out: ``rgb`` (H, W, 3) uint8, ``label`` (H, W) uint8 (free = sky),
    ``instance`` (H, W) int32, ``depth`` metres (0 = sky).
    """
    height, width = depth.shape
    sun = light.sun
    below = origin[2] - base_height(ground, origin[0], origin[1])
    for v in range(height):
        last = -1.0
        y_n = (v - k[1, 2]) / k[1, 1]
        for u in range(width):
            x_n = (u - k[0, 2]) / k[0, 0]
            dx = world_from_camera[0, 0] * x_n + world_from_camera[0, 1] * y_n + world_from_camera[0, 2]
            dy = world_from_camera[1, 0] * x_n + world_from_camera[1, 1] * y_n + world_from_camera[1, 2]
            dz = world_from_camera[2, 0] * x_n + world_from_camera[2, 1] * y_n + world_from_camera[2, 2]
            z = depth[v, u]
            i = index[v, u]
            t, edge, s, d, paved, side = -1.0, 0.0, 0.0, 0.0, False, -1
            limit = min(z, FAR_M)
            if dz < -1e-4 and -0.3 * below / dz < limit:
                guess = last if last > 0 else min(-below / dz, FAR_M)
                t, edge, s, d, paved, side = ground_hit(
                    ground, origin[0], origin[1], origin[2], dx, dy, dz, guess, limit
                )
            last = t
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            r, g, b, shine, glass, glow = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            nx, ny, nz = 0.0, 0.0, 1.0
            is_sky = False
            px, py, pz = 0.0, 0.0, 0.0
            if t > 0 and t < z:
                z = t
                px, py, pz = origin[0] + t * dx, origin[1] + t * dy, origin[2] + t * dz
                r, g, b, shine, cls = _ground_color(ground, px, py, edge, s, d, paved, side, t, k[0, 0], seed)
                label[v, u] = cls
                instance[v, u] = 0
                shine *= light.wet
            elif i >= 0:
                px, py, pz = origin[0] + z * dx, origin[1] + z * dy, origin[2] + z * dz
                rot, half, c = solids.rotation[i], solids.half[i], solids.center[i]
                ax, ay, az = px - c[0], py - c[1], pz - c[2]
                x = rot[0, 0] * ax + rot[1, 0] * ay + rot[2, 0] * az
                y = rot[0, 1] * ax + rot[1, 1] * ay + rot[2, 1] * az
                w = rot[0, 2] * ax + rot[1, 2] * ay + rot[2, 2] * az
                gx, gy, gz = unit_normal(
                    solids.kind[i], solids.taper[i, 0], solids.taper[i, 1], x / half[0], y / half[1], w / half[2]
                )
                gx /= half[0]
                gy /= half[1]
                gz /= half[2]
                norm = 1.0 / max(np.sqrt(gx * gx + gy * gy + gz * gz), 1e-6)
                gx *= norm
                gy *= norm
                gz *= norm
                nx = rot[0, 0] * gx + rot[0, 1] * gy + rot[0, 2] * gz
                ny = rot[1, 0] * gx + rot[1, 1] * gy + rot[1, 2] * gz
                nz = rot[2, 0] * gx + rot[2, 1] * gy + rot[2, 2] * gz
                r, g, b = solids.color[i, 0], solids.color[i, 1], solids.color[i, 2]
                label[v, u] = solids.label[i]
                instance[v, u] = solids.instance[i]
                m = solids.material[i]
                own = int(half[0] * 977 + half[2] * 3181)
                if m == PAINT:
                    shine = 0.35
                elif m == METAL:
                    shine = 0.2
                    ribs = x / 0.5 - np.floor(x / 0.5)
                    if half[0] > 1.5 and ribs < 0.1:
                        r, g, b = r * 0.8, g * 0.8, b * 0.8
                elif m == GLASS:
                    glass = 1.0
                elif m == FACADE:
                    if abs(gz) < 0.5:
                        r, g, b, glass, glow = _facade(x, y, w, gx, half[2], own, light.night, r, g, b)
                    else:
                        r, g, b = 0.2, 0.19, 0.18
                elif m == LEAVES:
                    n = hash_cell(int(np.floor((x + y) * 8)), int(np.floor((w - 0.6 * y) * 8)), own)
                    n = 0.55 * n + 0.45 * value_noise((x + y) * 2.0, (w - 0.5 * y) * 2.0, own)
                    q = (0.45 + 1.0 * n) * (0.75 + 0.25 * w / half[2])
                    r, g, b = r * q, g * q, b * q
                    nx += 0.8 * (n - 0.5)
                    nz += 0.5 * (n - 0.3)
                elif m == BARK or m == CONCRETE or m == CLOTH:
                    q = 0.75 + 0.5 * value_noise((x + y) * 9.0, w * 5.0, own)
                    r, g, b = r * q, g * q, b * q
                elif m == BRICK:
                    row = np.floor(w / 0.12)
                    q = 0.75 + 0.4 * hash_cell(int(np.floor((x + y) / 0.3 + 0.5 * (int(row) & 1))), int(row), own)
                    r, g, b = r * q, g * q, b * q
                elif m == STRIPES:
                    if half[0] < 0.4:  # cone
                        band = (w / half[2] + 1) * 0.5
                        if 0.35 < band < 0.55 or 0.68 < band < 0.82:
                            r, g, b = 0.8, 0.8, 0.78
                    else:
                        phase = (x + (w if half[2] > 0.4 or half[1] < 0.2 else 0.0)) / 0.5
                        if phase - np.floor(phase) < 0.5:
                            r, g, b = 0.75, 0.75, 0.73
                elif m == GLOW:
                    glow = 5.0 * light.night + 0.25
                elif m == MESH or m == RUBBER:
                    q = 0.8 + 0.4 * hash_cell(int(np.floor(x * 20)), int(np.floor(w * 20)), own)
                    r, g, b = r * q, g * q, b * q
            else:
                is_sky = True
                inv = 1.0 / length
                r, g, b = _sky(light, dx * inv, dy * inv, dz * inv, seed)
                label[v, u] = FREE
                instance[v, u] = 0
                z = 0.0
            if not is_sky:
                seen = sunlit(
                    sun, shadow[0], shadow[1], shadow[2], tops, px + 0.06 * nx, py + 0.06 * ny, pz + 0.06 * nz
                )
                facing = nx * sun[0] + ny * sun[1] + nz * sun[2]
                direct = max(facing, 0.0) * seen
                ambient = 0.62 + 0.38 * nz + 0.12 * seen
                lr = ambient * light.sky_color[0] + direct * light.sun_color[0]
                lg = ambient * light.sky_color[1] + direct * light.sun_color[1]
                lb = ambient * light.sky_color[2] + direct * light.sun_color[2]
                if light.night > 0:
                    for n in range(lamps.shape[0]):
                        ex, ey, ez = lamps[n, 0] - px, lamps[n, 1] - py, lamps[n, 2] - pz
                        far2 = ex * ex + ey * ey + ez * ez
                        if far2 < 400:
                            cosine = (nx * ex + ny * ey + nz * ez) / np.sqrt(far2 + 0.01)
                            pool = max(0.15 + 0.85 * cosine, 0.0) * 7.0 / (4.0 + far2) * (1 - far2 / 400)
                            lr += 1.0 * pool
                            lg += 0.78 * pool
                            lb += 0.5 * pool
                    ex, ey, ez = px - headlamps[0], py - headlamps[1], pz - headlamps[2]
                    far = np.sqrt(ex * ex + ey * ey + ez * ez) + 0.01
                    ahead = (ex * headlamps[3] + ey * headlamps[4] + ez * headlamps[5]) / far
                    if ahead > 0.8:
                        cosine = max(-(nx * ex + ny * ey + nz * ez) / far, 0.0)
                        beam = min((ahead - 0.8) * 6, 1.0) * (0.2 + 0.8 * cosine) * 26.0 / (12.0 + far * far)
                        lr += beam
                        lg += beam
                        lb += 0.9 * beam
                r, g, b = r * lr + r * glow, g * lg + g * glow, b * lb + b * glow
                if shine > 0 or glass > 0:
                    vx, vy, vz = dx / length, dy / length, dz / length
                    across = vx * nx + vy * ny + vz * nz
                    rz = vz - 2 * across * nz
                    fresnel = (1 - min(abs(across), 1.0)) ** 3
                    share = max(glass * (0.12 + 0.6 * fresnel), shine * (0.08 + 0.7 * fresnel))
                    if rz > 0:
                        root = np.sqrt(rz)
                        mr = light.horizon[0] * (1 - root) + light.zenith[0] * root
                        mg = light.horizon[1] * (1 - root) + light.zenith[1] * root
                        mb = light.horizon[2] * (1 - root) + light.zenith[2] * root
                    else:
                        mr, mg, mb = 0.12 * light.sky_color[0], 0.12 * light.sky_color[1], 0.12 * light.sky_color[2]
                    r, g, b = r * (1 - share) + mr * share, g * (1 - share) + mg * share, b * (1 - share) + mb * share
                    if label[v, u] == DRIVEABLE:
                        r, g, b = r * (1 - 0.35 * light.wet), g * (1 - 0.35 * light.wet), b * (1 - 0.35 * light.wet)
                haze = 1.0 - np.exp(-light.fog_per_m * z * length)
                r = r * (1 - haze) + light.horizon[0] * haze
                g = g * (1 - haze) + light.horizon[1] * haze
                b = b * (1 - haze) + light.horizon[2] * haze
            depth[v, u] = z
            h1 = hash32(noise_seed + (v * width + u) * 2)
            h2 = hash32(h1 + 0x9E3779B9)
            common = ((h1 & 255) + ((h1 >> 8) & 255) - 255.0) * (0.0067 * light.noise)
            for ch in range(3):
                value = (r if ch == 0 else g if ch == 1 else b) * light.exposure
                slot = max(min(int(value * 1024.0), 4096), 0)
                own_noise = (((h2 >> (ch * 10)) & 1023) - 511.5) * (0.0024 * light.noise)
                out = _GAMMA[slot] + common + own_noise
                rgb[v, u, ch] = np.uint8(min(max(out + 0.5, 0.0), 255.0))
