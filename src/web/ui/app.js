// The plain page: asks for /api/v1/live once a second and shows it. Text only ever goes
// into text nodes, so nothing that came from the network can become markup.
"use strict";

const $ = (id) => document.getElementById(id);
const count = new Intl.NumberFormat();

function scaled(value, step, units) {
  let at = 0;
  while (value >= step && at < units.length - 1) { value /= step; at++; }
  return `${at === 0 ? count.format(value) : value.toFixed(value < 10 ? 2 : 1)} ${units[at]}`;
}
const rate = (bits) => scaled(bits, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]);

function table(id, heads, rows) {
  const head = document.createElement("thead");
  const body = document.createElement("tbody");
  const line = (cells, tag) => {
    const tr = document.createElement("tr");
    for (const cell of cells) {
      const element = document.createElement(tag);
      element.textContent = typeof cell === "number" ? count.format(cell) : cell;
      if (tag === "th") element.scope = "col";
      tr.append(element);
    }
    return tr;
  };
  head.append(line(heads, "th"));
  for (const { cells, quiet } of rows) {
    const tr = line(cells, "td");
    if (quiet) tr.className = "quiet";
    body.append(tr);
  }
  $(id).replaceChildren(head, body);
}
const row = (...cells) => ({ cells, quiet: false });
const rest = (...cells) => ({ cells, quiet: true });

function show(live) {
  const { rates, totals, drops } = live;
  for (const name of ["in", "out", "internal", "transit"]) {
    $(`rate-${name}`).textContent = rate(rates[`bits_per_second_${name}`]);
  }
  $("rate-packets").textContent = `${count.format(rates.packets_per_second)} /s`;
  const lost = drops.kernel + drops.interface + drops.ring;
  $("dropped").textContent = count.format(lost);
  $("dropped").className = lost > 0 ? "bad" : "";

  table("totals", ["Direction", "Packets", "Bytes"], [
    ...["in", "out", "internal", "transit"].map((name) =>
      row(name, totals[`packets_${name}`], totals[`bytes_${name}`])),
    rest("not IP", totals.packets_none, totals.bytes_none),
    row("all", totals.packets, totals.bytes),
    rest("dropped by the kernel", drops.kernel, ""),
    rest("dropped by the interface", drops.interface, ""),
    rest("dropped by the ring", drops.ring, ""),
  ]);
  table("interfaces", ["Interface", "State", "Packets", "Bytes", "Dropped", "Receive errors"],
    live.interfaces.map((i) => row(i.name, i.is_capturing ? "capturing" : "waiting", i.packets,
      i.bytes, i.drops.kernel + i.drops.interface + i.drops.ring, i.kernel.receive_errors)));

  const { hosts, ports, protocols, errors } = live;
  table("hosts", ["Host", "MAC", "Bytes in", "Bytes out", "Packets in", "Packets out"], [
    ...hosts.hosts.map((h) =>
      row(h.addr, h.mac ?? "", h.bytes_in, h.bytes_out, h.packets_in, h.packets_out)),
    rest("other", "", hosts.other.bytes_in, hosts.other.bytes_out, hosts.other.packets_in, hosts.other.packets_out),
    rest("not IP", "", hosts.none.bytes, hosts.none.bytes, hosts.none.packets, hosts.none.packets),
  ]);
  table("ports", ["Port", "Packets", "Bytes"], [
    ...ports.ports.map((p) => row(`${p.port}/${p.protocol}`, p.packets, p.bytes)),
    rest("other", ports.other.packets, ports.other.bytes),
    rest("no port", ports.none.packets, ports.none.bytes),
  ]);
  table("protocols", ["Protocol", "Packets", "Bytes"], [
    ...protocols.protocols.map((p) => row(p.protocol, p.packets, p.bytes)),
    rest("not IP", protocols.none.packets, protocols.none.bytes),
  ]);
  table("errors", ["Error", "Count"],
    Object.entries(errors).map(([name, number]) => row(name.replaceAll("_", " "), number)));
}

let failures = 0;
async function refresh() {
  try {
    const answer = await fetch("api/v1/live?seconds=1&top=10", { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`the server says ${answer.status}`);
    const live = await answer.json();
    show(live);
    failures = 0;
    const idle = live.interfaces.filter((i) => !i.is_capturing).map((i) => i.name);
    $("state").textContent = idle.length
      ? `waiting for ${idle.join(", ")}`
      : `as of ${new Date(live.time).toLocaleTimeString()}`;
    $("state").className = idle.length ? "bad" : "";
  } catch (error) {
    failures++;
    $("state").textContent = `no answer: ${error.message}; trying again`;
    $("state").className = "bad";
  }
  setTimeout(refresh, Math.min(1000 * 2 ** Math.min(failures, 4), 10000));
}
refresh();
