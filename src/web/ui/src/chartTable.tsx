// The numbers of a graph as a table.

import { useState } from "preact/hooks";
import { value, type ChartProps } from "./chart";
import { known } from "./draw";
import { rate, when } from "./format";
import { download } from "./table";
import { WORDS } from "./words";

/** The numbers of a graph as a table, collapsed until somebody opens it. */
export function ChartTable({ title, file, times, step, series }: Pick<ChartProps, "title" | "times" | "step" | "series"> & { file: string }) {
  const [isOpen, setOpen] = useState(false);
  const save = () => {
    const values = series.flatMap((s) => [
      { key: `${s.key}_bits_per_second`, value: (place: number) => known(s.values[place]) },
      ...(s.greatest ? [{ key: `${s.key}_bits_per_second_max`, value: (place: number) => known(s.greatest?.[place]) }] : []),
    ]);
    const start = { key: "start", value: (place: number) => new Date((times[place] ?? 0) * 1000).toISOString() };
    download(file, [start, ...values], [...times.keys()]);
  };
  return (
    <details class="numbers" onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary>These numbers as a table</summary>
      {isOpen && (
        <button type="button" class="quiet" onClick={save}>
          Download CSV
        </button>
      )}
      {isOpen && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`${title}, numbers`}>
          <table>
            <caption class="unseen">{title}</caption>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {series.map((s) => (
                  <th scope="col" class="n" key={s.label}>
                    {s.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((time, place) => (
                <tr key={time}>
                  <th scope="row">{when(time, step)}</th>
                  {series.map((s) => (
                    <td class="n" key={s.label}>
                      {value(s, place)}
                      {known(s.greatest?.[place]) !== null && <small> {WORDS.greatest} {rate(s.greatest?.[place] ?? 0)}</small>}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
