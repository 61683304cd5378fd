// What a search covers, and what a share is relative to.

import assert from "node:assert/strict";
import { test } from "node:test";
import { share } from "../../src/span";
import { csvField, matches } from "../../src/table";

test("a share is of the network's traffic: 54.0 of 55.2 GB is 97.8 %", () => {
  const total = { bytes_in: 55.2e9, bytes_out: 55.2e9 };
  const [part, whole] = share("hosts", { bytes_in: 50e9, bytes_out: 4e9 }, total);
  assert.equal((part / whole).toFixed(3), "0.978");
  const [none] = share("hosts", { bytes_in: 1e9, bytes_out: 1e9, rest: "none" }, total);
  assert.equal(none, 1e9, "a frame without a host is counted once");
  assert.deepEqual(share("ports", { bytes: 5 }, { bytes: 10 }), [5, 10]);
  assert.deepEqual(share("interfaces", { bytes_in: 1, bytes_out: 2, bytes_internal: 3, bytes_transit: 4, bytes_none: 5 }, { bytes_in: 30 }), [15, 30]);
});

test("a search looks at what names a row, not at digits of amounts", () => {
  const columns = [
    { key: "port", label: "Port", isName: true, value: (row) => row.port },
    { key: "service", label: "Usual service", isName: true, value: (row) => row.service },
    { key: "total", label: "Volume", value: (row) => row.total },
  ];
  const row = { port: "tcp/443", service: "HTTPS", total: 1_234_567 };
  for (const words of ["443", "tcp", "https", " HTTPS ", ""]) assert.ok(matches(columns, row, words), words);
  for (const words of ["1234", "567", "80"]) assert.ok(!matches(columns, row, words), words);
});

test("a name is no formula for the spreadsheet that opens the file", () => {
  assert.equal(csvField('=HYPERLINK("http://x")'), `"'=HYPERLINK(""http://x"")"`);
  assert.equal(csvField("@a"), "'@a");
  assert.equal(csvField(-5), "-5");
  assert.equal(csvField("a,b"), '"a,b"');
  assert.equal(csvField(null), "");
});
