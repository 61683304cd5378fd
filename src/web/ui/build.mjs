// Bundles and compresses the page into dist/, from where src/web/ui/embed.rs embeds it.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/// Bytes of the whole page, compressed, at most.
const MOST = 70_000;

const here = new URL(".", import.meta.url);
const result = await build({
  absWorkingDir: here.pathname,
  entryPoints: { app: "src/main.tsx" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome100", "firefox100", "safari15"],
  outdir: "dist",
  write: false,
  legalComments: "none",
});

const files = new Map();
let html = readFileSync(new URL("src/index.html", here), "utf8");
for (const output of result.outputFiles) {
  const name = output.path.split("/").pop();
  const hash = createHash("sha256").update(output.contents).digest("hex").slice(0, 12);
  // A name that contains a hash of its content can be cached forever.
  const final = name.replace(/\.(\w+)$/, `-${hash}.$1`);
  html = html.replaceAll(name, final);
  files.set(final, output.contents);
}
files.set("index.html", Buffer.from(html));
files.set("icon.svg", readFileSync(new URL("src/icon.svg", here)));

rmSync(new URL("dist", here), { recursive: true, force: true });
mkdirSync(new URL("dist", here));
let total = 0;
for (const [name, content] of files) {
  const packed = gzipSync(content, { level: 9 });
  // The header's operating system byte differs between builds of zlib.
  packed[9] = 255;
  total += packed.length;
  writeFileSync(new URL(`dist/${name}.gz`, here), packed);
  console.log(`${name}: ${content.length} bytes, ${packed.length} compressed`);
}
console.log(`the page: ${total} bytes of at most ${MOST}`);
if (total > MOST) {
  console.error("the page is too large: what has been added that it can do without?");
  process.exit(1);
}
