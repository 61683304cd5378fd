// The page speaks a person's language: its sources contain none of the old words.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { linkType } from "../../src/words";

const PAGE = process.env.BRIGHTSTAT_PAGE ?? "src/";

/** Words of the program that no reader of the page should see. */
const OLD = [/not covered/i, /\bCovered\b/, /\bDropped\b/, /\bInside\b/, /Compare with before/, /since the start/i, /Started anew/, /EN10MB/, /not captured/i, /\bcapturing\b/];

test("none of the old words is in what the page says", () => {
  const files = readdirSync(PAGE).filter((name) => /\.(tsx?|html)$/.test(name) && name !== "words.ts");
  assert.ok(files.length > 20);
  for (const name of files) {
    const text = readFileSync(`${PAGE}${name}`, "utf8");
    const said = text
      .replaceAll(/\/\*[\s\S]*?\*\//g, "")
      .replaceAll(/^\s*\/\/.*$/gm, "")
      .replaceAll(/\bis_capturing\b/g, "");
    for (const word of OLD) assert.doesNotMatch(said, word, `${name} says ${word}`);
  }
});

test("a link is called what people call it", () => {
  assert.equal(linkType("EN10MB"), "Ethernet");
  assert.equal(linkType("SOMETHING_ELSE"), "SOMETHING_ELSE");
  assert.equal(linkType(""), "not known yet");
});
