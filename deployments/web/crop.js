/** Squares inside a picture, in whole pixels of the upright picture. */

/** @typedef {{x: number, y: number, side: number}} Crop */
/** @typedef {{width: number, height: number}} Size */

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The largest square in the centre, rounded as the service does.
 * @param {Size} size
 * @returns {Crop}
 */
export function centred({ width, height }) {
  const side = Math.min(width, height);
  return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), side };
}

/**
 * Put a square into the picture: first its side, then its place.
 * @param {Crop} crop
 * @param {Size} size
 * @param {number} smallest side allowed, in pixels
 * @returns {Crop}
 */
export function inside({ x, y, side }, { width, height }, smallest) {
  const most = Math.min(width, height);
  const fitted = clamp(Math.round(side) || most, Math.min(smallest, most), most);
  return {
    x: clamp(Math.round(x) || 0, 0, width - fitted),
    y: clamp(Math.round(y) || 0, 0, height - fitted),
    side: fitted,
  };
}

/**
 * The square between a corner that stays and a point that moves.
 * @param {{x: number, y: number}} anchor
 * @param {{x: number, y: number}} point
 * @param {Size} size
 * @param {number} smallest
 * @returns {Crop}
 */
export function spanned(anchor, point, { width, height }, smallest) {
  const right = point.x >= anchor.x;
  const down = point.y >= anchor.y;
  const room = Math.min(right ? width - anchor.x : anchor.x, down ? height - anchor.y : anchor.y);
  const wanted = Math.max(Math.abs(point.x - anchor.x), Math.abs(point.y - anchor.y));
  const side = clamp(wanted, Math.min(smallest, room), room);
  const crop = { x: right ? anchor.x : anchor.x - side, y: down ? anchor.y : anchor.y - side, side };
  return inside(crop, { width, height }, smallest);
}

/**
 * Grow or shrink a square about its centre.
 * @param {Crop} crop
 * @param {number} by pixels added to its side
 * @param {Size} size
 * @param {number} smallest
 * @returns {Crop}
 */
export function grown(crop, by, size, smallest) {
  const { side } = inside({ ...crop, side: crop.side + by }, size, smallest);
  const shift = (crop.side - side) / 2;
  return inside({ x: crop.x + shift, y: crop.y + shift, side }, size, smallest);
}

/**
 * @param {Crop} one
 * @param {Crop} other
 * @returns {boolean}
 */
export function same(one, other) {
  return one.x === other.x && one.y === other.y && one.side === other.side;
}
