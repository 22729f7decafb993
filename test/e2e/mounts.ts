/** Mounts that only the server under test sees. For root; needs unshare(1) of util-linux. */

/** A prelude: shell text that runs `mount` in a mount namespace of its own and the server behind it.
 *  unshare's own way to make that namespace private fails in a chroot whose root folder is no mount
 *  point; there the namespace stays as it is. Single quotes are not allowed in `mount`. */
export function mounted(mount: string): string {
  const inside = `mount --make-rprivate / 2>/dev/null; ${mount} && exec "$@"`;
  return `set -- unshare -m --propagation unchanged sh -c '${inside}' sh "$@"`;
}
