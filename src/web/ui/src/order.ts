// The order of the busiest: by rate, but steady, so that people can read and click a row.

/** A row rises only if it is this many times as busy as the row above. */
const MARGIN = 1.3;

/**
 * The names of the `most` busiest, in an order as close to the previous one as the rates allow: a
 * row rises, or a new one enters, only if it is clearly busier than the one it passes.
 */
export function steady(before: readonly string[], rates: ReadonlyMap<string, number>, most: number): string[] {
  const rate = (name: string) => rates.get(name) ?? 0;
  const list = before.filter((name) => rate(name) > 0).slice(0, most);
  const rest = [...rates.keys()]
    .filter((name) => rate(name) > 0 && !list.includes(name))
    .sort((a, b) => rate(b) - rate(a) || (a < b ? -1 : 1));
  for (const newcomer of rest) {
    if (list.length < most) {
      list.push(newcomer);
      continue;
    }
    const least = list.reduce((least, name, at) => (rate(name) < rate(list[least]!) ? at : least), 0);
    if (rate(newcomer) <= MARGIN * rate(list[least]!)) break;
    list[least] = newcomer;
  }
  // This terminates: each swap moves a higher rate up.
  for (let isMoving = true; isMoving; ) {
    isMoving = false;
    for (let at = 1; at < list.length; at += 1) {
      const [above, below] = [list[at - 1]!, list[at]!];
      if (rate(below) > MARGIN * rate(above)) {
        list[at - 1] = below;
        list[at] = above;
        isMoving = true;
      }
    }
  }
  return list;
}
