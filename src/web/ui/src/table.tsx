// A table that is sorted, searched, paged and downloaded in the browser.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { exact, percent } from "./format";

export interface Column<T> {
  key: string;
  label: string;
  /** What to sort and download: numbers sort largest first. */
  value: (row: T) => string | number | null;
  show?: (row: T) => ComponentChildren;
  isNumber?: boolean;
  /** Left out where there is little room. */
  isWide?: boolean;
}

interface Props<T> {
  title: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  /** Rows that belong below, whatever the order: other, none. */
  rest?: T[];
  file: string;
  empty: string;
  /** Of how many the rows are the busiest. */
  of?: number;
}

const PAGE = 25;

export function Table<T>({ title, columns, rows, id, rest = [], file, empty, of }: Props<T>) {
  const first = columns.find((column) => column.key === "total") ?? columns[0];
  const [order, setOrder] = useState<{ key: string; isUp: boolean }>({ key: first?.key ?? "", isUp: false });
  const [words, setWords] = useState("");
  const [page, setPage] = useState(0);

  const by = columns.find((column) => column.key === order.key) ?? first;
  const wanted = words.trim().toLowerCase();
  const found = wanted === "" ? rows : rows.filter((row) => columns.some((c) => String(c.value(row) ?? "").toLowerCase().includes(wanted)));
  const sorted = [...found].sort((a, b) => {
    const [x, y] = [by?.value(a) ?? "", by?.value(b) ?? ""];
    const less = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return order.isUp ? less : -less;
  });
  const pages = Math.max(1, Math.ceil(sorted.length / PAGE));
  const now = Math.min(page, pages - 1);
  const shown = sorted.slice(now * PAGE, (now + 1) * PAGE);

  const sort = (column: Column<T>) => {
    setPage(0);
    setOrder({ key: column.key, isUp: order.key === column.key ? !order.isUp : !column.isNumber });
  };
  const cell = (column: Column<T>, row: T) => (column.show ? column.show(row) : column.value(row));
  const classes = (column: Column<T>) => `${column.isNumber ? "n " : ""}${column.isWide ? "wide" : ""}`;

  return (
    <div class="table">
      <div class="tools">
        <label class="search">
          <span class="unseen">Search {title}</span>
          <input
            type="search"
            placeholder={`Search ${title.toLowerCase()}`}
            value={words}
            onInput={(event) => {
              setWords(event.currentTarget.value);
              setPage(0);
            }}
          />
        </label>
        <button type="button" class="quiet" onClick={() => download(file, columns, [...sorted, ...rest])} title="What is on screen, as comma-separated values">
          Download CSV
        </button>
      </div>
      {rows.length === 0 && rest.length === 0 ? (
        <p class="empty">{empty}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={title}>
          <table>
            <caption class="unseen">{title}</caption>
            <thead>
              <tr>
                {columns.map((column) => (
                  <th
                    scope="col"
                    key={column.key}
                    class={classes(column)}
                    aria-sort={order.key === column.key ? (order.isUp ? "ascending" : "descending") : undefined}
                  >
                    <button type="button" onClick={() => sort(column)}>
                      {column.label}
                      <span class="arrow" aria-hidden="true">
                        {order.key === column.key ? (order.isUp ? "▲" : "▼") : ""}
                      </span>
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <tr key={id(row)}>
                  {columns.map((column) => (
                    <td key={column.key} class={classes(column)}>
                      {cell(column, row)}
                    </td>
                  ))}
                </tr>
              ))}
              {wanted === "" &&
                now === pages - 1 &&
                rest.map((row) => (
                  <tr key={id(row)} class="rest">
                    {columns.map((column) => (
                      <td key={column.key} class={classes(column)}>
                        {cell(column, row)}
                      </td>
                    ))}
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      )}
      {wanted !== "" && sorted.length === 0 && <p class="empty">Nothing here matches “{words}”.</p>}
      <div class="pager">
        {of !== undefined && of > rows.length && (
          <span>
            The {exact(rows.length)} busiest of {exact(of)}; the others are in “other”.
          </span>
        )}
        {pages > 1 && (
          <nav aria-label={`Pages of ${title.toLowerCase()}`}>
            <button type="button" disabled={now === 0} onClick={() => setPage(now - 1)}>
              Previous
            </button>
            <span>
              {now + 1} of {pages}
            </span>
            <button type="button" disabled={now === pages - 1} onClick={() => setPage(now + 1)}>
              Next
            </button>
          </nav>
        )}
      </div>
    </div>
  );
}

/** A share as a number, and as a bar beside that of the largest. */
export function Share({ part, whole, most }: { part: number; whole: number; most: number }) {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  const width = most > 0 ? Math.min(1, part / most) * 100 : 0;
  return (
    <span class="share">
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="10" class="rail" />
        <rect width={width} height="10" class="fill" />
      </svg>
      <span>{percent(share)}</span>
    </span>
  );
}

function download<T>(file: string, columns: Column<T>[], rows: T[]): void {
  const quote = (value: string | number | null) => {
    const text = value === null ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.map((c) => quote(c.key)), ...rows.map((row) => columns.map((c) => quote(c.value(row))))];
  save(`${file}.csv`, lines.map((line) => line.join(",")).join("\n") + "\n");
}

/** Hands a text to the browser as a file. */
export function save(file: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
