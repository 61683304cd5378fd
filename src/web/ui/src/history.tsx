// The past: a graph over a range, and its breakdown; of the whole network, or of one host, port,
// protocol or interface. A single thing also has a live view.

import { Breakdown } from "./breakdown";
import { Graph } from "./graph";
import { Known } from "./known";
import { nameOf, said, useNames } from "./names";
import { LiveOne, RateNow } from "./liveGraph";
import { Ranges } from "./ranges";
import { change, linkTo, type Kind } from "./route";
import { service } from "./services";
import { useSettings } from "./settings";
import { LIVE, NOUN, span, SPLITS } from "./span";
import { TABLE } from "./table";

/** The whole network. */
export function History({ parameters }: { parameters: URLSearchParams }) {
  useSettings();
  const asked = span(parameters);
  const found = SPLITS.find(([kind]) => kind === parameters.get("split"));
  const split = found?.[0] ?? "hosts";
  return (
    <>
      <h1 class="unseen">History of the network</h1>
      <Ranges asked={asked} parameters={parameters} />
      <Graph asked={asked} kind="interfaces" parameters={parameters} title="All traffic" />
      <section class="card" aria-label="Breakdown">
        <div class="tabs" role="group" aria-label="Split by">
          {SPLITS.map(([kind, name]) => (
            <button type="button" key={kind} aria-pressed={kind === split} onClick={() => change({ split: kind, sort: null, q: null, page: null })}>
              {name}
            </button>
          ))}
        </div>
        <Breakdown key={split} kind={split} asked={asked} parameters={parameters} />
      </section>
    </>
  );
}

/** One host, port, protocol or interface. */
export function One({ kind, name, parameters }: { kind: Kind; name: string; parameters: URLSearchParams }) {
  useSettings();
  const asked = span(parameters);
  const isLive = parameters.get("range") === LIVE;
  const names = useNames(kind === "hosts");
  const called = kind === "hosts" ? nameOf(names, name) : undefined;
  const [protocol, port] = name.split("/");
  const usual = kind === "ports" ? service(protocol, Number(port)) : "";
  const back = new URLSearchParams(parameters);
  back.set("split", kind);
  for (const key of ["compare", ...TABLE, ...TABLE.map((key) => `p${key}`)]) back.delete(key);
  if (isLive) back.set("range", "hour");
  return (
    <>
      <p class="crumbs">
        {isLive ? <a href="#/">Now</a> : <a href={`#/history?${back}`}>All {kind}</a>}
      </p>
      <h1>
        {called ? <bdi>{said(called)}</bdi> : name} <small>{called ? name : usual || NOUN[kind]}</small>
      </h1>
      <Ranges asked={asked} parameters={parameters} isOne />
      {isLive ? (
        <LiveOne kind={kind} name={name} />
      ) : (
        <>
          <RateNow kind={kind} name={name} href={linkTo(kind, name, new URLSearchParams({ range: LIVE }))} />
          <Graph asked={asked} kind={kind} name={name} parameters={parameters} title={`Traffic of ${name}`} />
        </>
      )}
      <Known kind={kind} name={name} called={called} asked={asked} parameters={parameters} />
    </>
  );
}
