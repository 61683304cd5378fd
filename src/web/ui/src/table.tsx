// A table that is sorted, searched, paged and downloaded in the browser.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { exact, percent } from "./format";
import { change } from "./route";

export interface Column<T> {
  key: string;
  label: string;
  /** The value to sort by and to download: numbers sort largest first. */
  value: (row: T) => string | number | null;
  show?: (row: T) => ComponentChildren;
  isNumber?: boolean;
  /** Names the row: a search covers these columns. */
  isName?: boolean;
  /** A further text that a search finds. */
  also?: (row: T) => string;
  /** Hidden where there is little room. */
  isWide?: boolean;
  /** Holds a bar, which fills the remaining room. */
  isBar?: boolean;
}

interface Props<T> {
  title: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  /** Rows that always come last, whatever the order: other, none. */
  rest?: T[];
  file: string;
  empty: string;
  /** How many there are; the rows are the busiest of them. */
  of?: number;
  /** The address's: it holds order, search and page, so that links and "back" keep them. */
  parameters: URLSearchParams;
  /** Precedes the names of these parameters, where a view has several tables. */
  prefix?: string;
  /** Has few rows by nature, so it needs no search. */
  isShort?: boolean;
}

const PAGE = 25;

/** Whether the names in a row contain these words; amounts are not searched. */
export function matches<T>(columns: Column<T>[], row: T, words: string): boolean {
  const wanted = words.trim().toLowerCase();
  return wanted === "" || columns.some((column) => column.isName && `${column.value(row) ?? ""} ${column.also?.(row) ?? ""}`.toLowerCase().includes(wanted));
}

/** Parameters of the address that a table without a prefix uses. */
export const TABLE = ["sort", "q", "page"];

/** Words to search for: applied at once, written to the address after a debounce of 300 ms. */
function useWords(name: string, parameters: URLSearchParams): [string, (words: string) => void] {
  const there = parameters.get(name) ?? "";
  const [words, setWords] = useState(there);
  const written = useRef(there);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    if (there === written.current) return;
    // The person went back, or followed a link.
    written.current = there;
    setWords(there);
  }, [there]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const set = (words: string) => {
    setWords(words);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      written.current = words;
      change({ [name]: words }, true);
    }, 300);
  };
  return [words, set];
}

export function Table<T>({ title, columns, rows, id, rest = [], file, empty, of, parameters, prefix = "", isShort }: Props<T>) {
  const first = columns.find((column) => column.key === "total") ?? columns[0];
  const [wish, way] = (parameters.get(`${prefix}sort`) ?? "").split(":", 2);
  const order = columns.some((column) => column.key === wish) ? { key: wish ?? "", isUp: way === "up" } : { key: first?.key ?? "", isUp: false };
  const [words, setWords] = useWords(`${prefix}q`, parameters);
  const page = Math.max(1, Math.floor(Number(parameters.get(`${prefix}page`)) || 1)) - 1;
  const setPage = (page: number) => change({ [`${prefix}page`]: page > 0 ? String(page + 1) : null }, true);

  const by = columns.find((column) => column.key === order.key) ?? first;
  const wanted = words.trim().toLowerCase();
  const found = wanted === "" ? rows : rows.filter((row) => matches(columns, row, wanted));
  const sorted = [...found].sort((a, b) => {
    const [x, y] = [by?.value(a) ?? "", by?.value(b) ?? ""];
    const less = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return order.isUp ? less : -less;
  });
  const pages = Math.max(1, Math.ceil(sorted.length / PAGE));
  const now = Math.min(page, pages - 1);
  const shown = sorted.slice(now * PAGE, (now + 1) * PAGE);

  const sort = (column: Column<T>) => {
    const isUp = order.key === column.key ? !order.isUp : !column.isNumber;
    change({ [`${prefix}sort`]: `${column.key}${isUp ? ":up" : ""}`, [`${prefix}page`]: null }, true);
  };
  const cell = (column: Column<T>, row: T) => (column.show ? column.show(row) : column.value(row));
  const classes = (column: Column<T>) =>
    [column.isNumber && "n", column.isWide && "wide", column.isBar && "bar"].filter(Boolean).join(" ");

  return (
    <div class="table">
      <div class={isShort ? "tools few" : "tools"}>
        {!isShort && (
          <label class="search">
            <span class="unseen">Search {title}</span>
            <input
              type="search"
              placeholder={`Search ${title.toLowerCase()}`}
              value={words}
              onInput={(event) => {
                setWords(event.currentTarget.value);
                if (page > 0) setPage(0);
              }}
            />
          </label>
        )}
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
                      {order.key === column.key && (
                        <span class="arrow" aria-hidden="true">
                          {order.isUp ? "▲" : "▼"}
                        </span>
                      )}
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

/** A share as a number, and as a bar relative to the largest. */
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

/** The part of a table's columns that a download needs. */
type Values<T> = Pick<Column<T>, "key" | "value">[];

/**
 * A field of a CSV file (RFC 4180). A text that a spreadsheet would run as a formula gets an
 * apostrophe in front: anyone can choose a name.
 */
export function csvField(value: string | number | null): string {
  let text = value === null ? "" : String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Offers rows to the browser as a CSV file. */
export function download<T>(file: string, columns: Values<T>, rows: T[]): void {
  const lines = [columns.map((c) => csvField(c.key)), ...rows.map((row) => columns.map((c) => csvField(c.value(row))))];
  save(`${file}.csv`, lines.map((line) => line.join(",")).join("\n") + "\n");
}

/** Offers a text to the browser as a file. */
function save(file: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
